"""A registry that takes tokens: who is let in, and what is said to the others, on both engines."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conformance.registry_streams import course
from tests.conformance.wire import Ask, assert_alike, load, send
from tests.real.archives import docker_archive
from tests.real.images import Image, file, layer, make_image, small_image, tar_of
from tests.registry.token_registry import PASSWORD, REFRESH, USER, TokenServer, token_registry

Sockets = tuple[Path, Path]

_GOOD = {"username": USER, "password": PASSWORD}
_CALLERS: dict[str, dict[str, str]] = {
    "nobody": {},
    "a liar": {"username": USER, "password": "wrong"},
    "a refresh token": {"identitytoken": REFRESH},
    "a stale refresh token": {"identitytoken": "stale"},
    "no token": {"registrytoken": "nonsense"},
    "someone": _GOOD,
}


def header(auth: dict[str, str]) -> dict[str, str]:
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()}


def asking(socket: Path, method: str, target: str, auth: dict[str, str]) -> Any:  # noqa: ANN401
    heard = send(socket, Ask(method, target, headers=header(auth)))
    if heard.status != 200:
        return heard.status, heard.message
    if method != "POST":
        return "answered"
    # Of an engine's own manifest neither the digest nor its blobs' names are the other's.
    lines, layers = course(heard, own_manifest=True)
    told = [line for line in lines if not line.get("status", "").startswith("Digest: ")]
    return told, [steps[-1] for _, steps in layers]


async def on_both(
    sockets: Sockets, scenario: Callable[[Path, str], Any], server: TokenServer | None = None
) -> list[list[str]]:
    """Compare what a scenario gives; `who` is what names are to differ in. Scopes asked by each."""
    told, scopes = [], []
    for socket, who in zip(sockets, ("docker", "lamina"), strict=True):
        given = await asyncio.to_thread(scenario, socket, who)
        told.append(json.loads(json.dumps(given).replace(f"/{who}", "/who")))
        if server is not None:
            asked = [item for _, query in server.asked for item in query.get("scope", [])]
            scopes.append([item.replace(who, "who") for item in asked])
            server.asked.clear()
    assert_alike(told[1], told[0])
    return scopes


def stock(socket: Path, image: Image, *names: str) -> None:
    load(socket, tar_of(docker_archive((image, names))))


async def test_who_may_push_and_pull(servers: Sockets) -> None:
    async with token_registry() as (address, _):

        def scenario(socket: Path, who: str) -> list[Any]:
            told: list[Any] = []
            for number, (caller, auth) in enumerate(_CALLERS.items()):
                image = small_image(f"tokens {number}")
                repository = f"{address}/private/{who}{number}"
                stock(socket, image, f"{repository}:1")
                push, pull = f"/images/{repository}/push?tag=1", f"fromImage={repository}:1"
                asks: tuple[tuple[str, str, dict[str, str]], ...] = (
                    ("POST", push, auth),
                    ("POST", push, _GOOD),
                    ("DELETE", f"/images/{image.id}?force=1", {}),
                    ("POST", f"/images/create?{pull}", auth),
                    ("POST", f"/images/create?fromImage={repository}", auth),
                    ("GET", f"/distribution/{repository}:1/json", auth),
                )
                told += [(caller, ask[1], asking(socket, *ask)) for ask in asks]
            return told

        await on_both(servers, scenario)


async def test_what_is_public(servers: Sockets) -> None:
    async with token_registry() as (address, _):

        def scenario(socket: Path, who: str) -> list[Any]:
            image, repository = small_image("public"), f"{address}/public/{who}"
            stock(socket, image, f"{repository}:1")
            pull = f"/images/create?fromImage={repository}&tag=1"
            return [
                asking(socket, "POST", f"/images/{repository}/push?tag=1", {}),
                asking(socket, "POST", f"/images/{repository}/push?tag=1", _GOOD),
                asking(socket, "POST", pull, {}),
                asking(socket, "POST", pull, {"username": USER, "password": "wrong"}),
                asking(socket, "POST", f"/images/create?fromImage={repository}/none&tag=1", {}),
            ]

        await on_both(servers, scenario)


async def test_a_mount_asks_to_read_the_other_repository(servers: Sockets) -> None:
    image = make_image(layer(file("data", b"mounted" * 50_000)))
    async with token_registry() as (address, server):

        def scenario(socket: Path, who: str) -> list[Any]:
            first, second = (f"{address}/{name}/{who}" for name in ("first", "second"))
            stock(socket, image, f"{first}:1", f"{second}:1")
            return [
                asking(socket, "POST", f"/images/{name}/push?tag=1", _GOOD)
                for name in (first, second)
            ]

        docker, lamina = await on_both(servers, scenario, server)
    for scopes in (docker, lamina):
        asked = {part for scope in scopes for part in scope.split()}
        assert "repository:first/who:pull" in asked
    # dockerd says it the other way round.
    assert set(lamina) == {
        "repository:first/who:pull",
        "repository:first/who:pull,push",
        "repository:second/who:pull",
        "repository:second/who:pull,push",
    }


async def test_logging_in(servers: Sockets) -> None:
    async with token_registry() as (address, _):

        def scenario(socket: Path, _: str) -> list[Any]:
            answers = []
            for auth in _CALLERS.values():
                body = json.dumps({**auth, "serveraddress": address}).encode()
                kind = {"Content-Type": "application/json"}
                heard = send(socket, Ask("POST", "/auth", headers=kind, body=body))
                answers.append((heard.status, heard.json()))
            return answers

        await on_both(servers, scenario)
