"""The same HTTP request to two engines, and what of their answers must be equal.

Compared are the status line, which headers there are and what the fixed ones say, and the body:
JSON with its key order, streams chunk by chunk. Left out is what names one engine (its version, the
length of a body that holds it) or one moment (Date).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.real.rawhttp import Connection

VERSION = "v1.41"
"""The newest API version of dockerd 20.10: the one in which the two are held against each other."""

TAR = {"Content-Type": "application/x-tar"}

# Api-Version differs on purpose (1.41, ≥1.44); it and Server are checked for themselves.
_VARYING_HEADERS = {"date", "content-length", "transfer-encoding", "api-version", "server"}


@dataclass(frozen=True)
class Ask:
    """A request. A `target` without a leading version is asked in `VERSION`."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True)
class Heard:
    """A whole answer. `chunks` is None where the body was not chunked."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[bytes, ...] | None

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    @property
    def message(self) -> str:
        """The message of an error, as JSON or as the plain text of old versions."""
        if self.body.startswith(b"{"):
            return str(json.loads(self.body)["message"])
        return self.body.decode().rstrip("\n")

    def json(self) -> Any:  # noqa: ANN401 - JSON is any value; each test knows which it expects
        return json.loads(self.body)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON objects of a stream."""
        return [json.loads(line) for line in self.body.splitlines() if line]


def q(**query: object) -> str:
    """`?key=value…`: a list repeats its key, a mapping is sent as JSON, `_` stands for `-`."""
    pairs = [
        (key.replace("_", "-"), json.dumps(one) if isinstance(one, dict) else str(one))
        for key, value in query.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return "?" + urlencode(pairs, quote_via=quote)


def filtered(**values: object) -> str:
    """`?filters=…` in the form that clients send: every value a list; `not_label` is `label!`."""
    lists = {
        "label!" if key == "not_label" else key: value if isinstance(value, list) else [value]
        for key, value in values.items()
    }
    return q(filters=lists)


def send(socket: Path, ask: Ask) -> Heard:
    """Ask on a connection of its own."""
    absolute = ask.target.startswith("!")
    target = ask.target[1:] if absolute else f"/{VERSION}{ask.target}"
    with Connection(socket) as connection:
        response = connection.request(ask.method, target, headers=ask.headers, body=ask.body)
        if response.framing == "chunked":
            chunks = tuple(response.chunks())
            body = b"".join(chunks)
        else:
            chunks, body = None, response.read()
    return Heard(response.status, response.reason, response.headers, body, chunks)


Smooth = Callable[[Any], Any]


def comparable(heard: Heard, smooth: Smooth = lambda value: value) -> dict[str, Any]:
    """What two engines must agree on; `smooth` takes out of a JSON body what may differ."""
    names = sorted({k.lower() for k, _ in heard.headers} - _VARYING_HEADERS)
    kind = heard.header("Content-Type")
    return {
        "status": f"{heard.status} {heard.reason}",
        "headers": {name: heard.header(name) for name in names},
        "body": _body(heard, kind, smooth),
    }


def _body(heard: Heard, kind: str | None, smooth: Smooth) -> object:
    if kind != "application/json" or not heard.body:
        return heard.body
    # One message is one chunk, and its line end is part of it.
    if heard.chunks is not None and heard.body.endswith(b"\r\n"):
        return [(_ordered(smooth(json.loads(c))), c[-2:]) for c in heard.chunks]
    return _ordered(smooth(json.loads(heard.body))), heard.body[-1:]


def _ordered(value: object) -> object:
    """Objects as lists of pairs, so that the order of their keys counts."""
    if isinstance(value, dict):
        return [(key, _ordered(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


def without(value: Any, *keys: str) -> Any:  # noqa: ANN401 - any JSON in, any JSON out
    """JSON without the values (not the keys) of some members, at any depth."""
    if isinstance(value, dict):
        return {k: "…" if k in keys else without(v, *keys) for k, v in value.items()}
    if isinstance(value, list):
        return [without(item, *keys) for item in value]
    return value


def empty(socket: Path) -> None:
    """Delete what an engine has: containers, volumes, and images, children before parents."""
    while containers := send(socket, Ask("GET", "/containers/json?all=1")).json():
        for container in containers:
            heard = send(socket, Ask("DELETE", f"/containers/{container['Id']}?force=1&v=1"))
            # One that was run with `--rm` may just be going by itself.
            assert heard.status in {204, 404, 409}, heard.body
    # A dockerd keeps some that containers had of others.
    heard = send(socket, Ask("POST", "/volumes/prune"))
    assert heard.status == 200, heard.body
    while images := send(socket, Ask("GET", "/images/json?all=1")).json():
        asks = [Ask("DELETE", f"/images/{image['Id']}?force=1") for image in images]
        answers = [send(socket, ask) for ask in asks]
        assert any(answer.status == 200 for answer in answers), [a.body for a in answers]


def load(socket: Path, archive: bytes) -> Heard:
    """Load an archive which must be loaded whole."""
    heard = send(socket, Ask("POST", "/images/load?quiet=1", archive, TAR))
    assert heard.status == 200, heard.body
    assert b"errorDetail" not in heard.body, heard.body
    return heard


def both(asks: Iterable[Ask], sockets: tuple[Path, Path]) -> list[tuple[Ask, Heard, Heard]]:
    """Each request to both engines before the next one."""
    return [(ask, send(sockets[0], ask), send(sockets[1], ask)) for ask in asks]


_SERVER = re.compile(r"Docker/\S+ \(linux\)")


def assert_headers_of_an_engine(heard: Heard) -> None:
    """What every answer but `page not found` carries."""
    assert _SERVER.fullmatch(heard.header("Server") or "")
    assert re.fullmatch(r"1\.\d\d", heard.header("Api-Version") or "")
    assert heard.header("Ostype") == "linux"


def assert_alike(got: object, expected: object) -> None:
    """Fail with a line for each difference: pytest's own comparison buries them in long bodies."""
    if lines := list(_unlike(got, expected, "")):
        pytest.fail("\n".join(["Lamina gave, instead of dockerd's:", *lines]), pytrace=False)


def _unlike(got: object, expected: object, path: str) -> Iterator[str]:
    if (keyed := _members(got)) is not None and (others := _members(expected)) is not None:
        # In the pairs that `_ordered` makes, order counts; in a dict it does not.
        as_they_stand = list if isinstance(got, list) else sorted
        if as_they_stand(keyed) != as_they_stand(others):
            yield f"{path}: members {list(keyed)} instead of {list(others)}"
        for key in keyed.keys() & others.keys():
            yield from _unlike(keyed[key], others[key], f"{path}.{key}")
    elif isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        if len(got) != len(expected):
            yield f"{path}: {len(got)} instead of {len(expected)} items"
        for number, (one, other) in enumerate(zip(got, expected, strict=False)):
            yield from _unlike(one, other, f"{path}[{number}]")
    elif got != expected:
        yield f"{path}: {got!r:.600} instead of {expected!r:.600}"


def _members(value: object) -> dict[str, object] | None:
    """An object, be it a dict or `_ordered`."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(v, tuple) for v in value):
        return dict(value) if all(len(v) == 2 and isinstance(v[0], str) for v in value) else None
    return None
