"""Requests that change an engine: the same answers and the same state on both, step by step."""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.differences import modern
from tests.conformance.scripts import (
    DELETES,
    IMPORTS,
    LOADS,
    PRUNES,
    TAGS,
    Story,
    image_import,
    load,
)
from tests.conformance.stock import BASE
from tests.conformance.wire import Ask, Heard, assert_alike, comparable, send
from tests.real.images import tar_of

Sockets = tuple[Path, Path]

ALL = Ask("GET", "/images/json?all=1")
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")


def told(stories: Mapping[str, Story]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("story", list(stories.values()), ids=list(stories))


class Smoother:
    """Takes from an engine's answers what no two engines can have in common.

    That is the present time, and the IDs of images which were made of it: they become "image 1",
    "image 2" and so on as they appear.
    """

    def __init__(self, *, now: bool) -> None:
        self._now = now
        self._names: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:  # noqa: ANN401 - any JSON in, any JSON out
        if isinstance(value, dict):
            return {key: self._member(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, str) and self._now:
            return IMAGE_ID.sub(self._renamed, value)
        return value

    def _member(self, key: str, item: object) -> object:
        if key == "GraphDriver":
            return "…"
        if key == "LastTagTime":
            return str(item).startswith("0001-01-01")
        if key in {"Created", "DockerVersion"} and self._now:
            return "the engine's own"
        return self(item)

    def _renamed(self, match: re.Match[str]) -> str:
        return self._names.setdefault(match[0], f"image {len(self._names) + 1}")


def ordered(ask: Ask, heard: Heard, *, now: bool) -> Heard:
    """The answer with that in order which a dockerd gives in the order of a Go map.

    These are images of the same second, and what a prune deletes.
    """
    if heard.status != 200:
        return heard
    if ask is ALL:
        images = heard.json()
        assert images == sorted(images, key=lambda image: -image["Created"])
        images.sort(key=lambda i: (0 if now else -i["Created"], i["RepoTags"], i["Size"], i["Id"]))
        return with_json(heard, images)
    if ask.target.startswith("/images/prune"):
        report = heard.json()
        if report["ImagesDeleted"]:
            report["ImagesDeleted"].sort(key=str)
        return with_json(heard, report)
    return heard


def with_json(heard: Heard, value: object) -> Heard:
    return replace(heard, body=json.dumps(value).encode() + b"\n")


def without_repetition(answer: dict[str, Any]) -> dict[str, Any]:
    """How often a layer's progress is told depends on time: equal messages in a row are one."""
    if isinstance(answer["body"], list):
        answer["body"] = [message for message, _ in itertools.groupby(answer["body"])]
    return answer


def run(socket: Path, story: Story, *, now: bool, remember: Callable[..., Any]) -> list[Any]:
    """What one engine says to a story, and what it holds after every step."""
    smooth = Smoother(now=now)
    told = []
    for ask in story:
        for one in (ask, ALL):
            heard = ordered(one, remember(one, send(socket, one)), now=now)
            told.append((str(one)[:200], without_repetition(comparable(heard, smooth))))
    for image in ordered(ALL, send(socket, ALL), now=now).json():
        for what in ("json", "history"):
            one = Ask("GET", f"/images/{image['Id']}/{what}")
            told.append((what, comparable(send(socket, one), smooth)))
    return told


def assert_same(sockets: Sockets, story: Story, *, now: bool = False) -> None:
    docker, lamina = sockets
    expected = run(docker, story, now=now, remember=modern)
    heard = run(lamina, story, now=now, remember=lambda _, answer: answer)
    assert_alike(heard, expected)


@told(LOADS)
def test_load(servers: Sockets, story: Story) -> None:
    assert_same(servers, story)


@told(DELETES)
def test_delete(servers: Sockets, story: Story) -> None:
    assert_same(servers, story)


@told(TAGS)
def test_tag(servers: Sockets, story: Story) -> None:
    assert_same(servers, story)


@told(PRUNES)
def test_prune(servers: Sockets, story: Story) -> None:
    assert_same(servers, story)


@told(IMPORTS)
def test_import(servers: Sockets, story: Story) -> None:
    assert_same(servers, story, now=True)


@pytest.mark.parametrize("manifest", [b"[]", b"null"])
def test_load_of_no_images(servers: Sockets, manifest: bytes) -> None:
    # Both are an empty list to Go; dockerd then sends the names of nothing, `{}`.
    ask = load(tar_of({"manifest.json": manifest}))
    docker, lamina = (send(socket, ask) for socket in servers)
    assert (docker.status, docker.body) == (200, b"{}\r\n")
    assert lamina.status == 200
    assert "errorDetail" not in lamina.body.decode()


def test_a_stop_signal_among_the_changes(servers: Sockets) -> None:
    # Allowed since 23.0.
    heard = send(servers[1], image_import(BASE, repo="a", changes=["STOPSIGNAL SIGUSR1"]))
    assert heard.status == 200
    config = send(servers[1], Ask("GET", "/images/a/json")).json()["Config"]
    assert config["StopSignal"] == "SIGUSR1"
