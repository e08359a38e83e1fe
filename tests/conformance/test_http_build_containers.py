"""The containers that builds leave: the same as dockerd's, with the same in them."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.builds import context
from tests.conformance.container_answers import Smoother
from tests.conformance.container_differences import modern
from tests.conformance.container_stories import delete, get, post
from tests.conformance.test_http_containers import heard_alike
from tests.conformance.wire import TAR, Ask, assert_alike, q, send

Sockets = tuple[Path, Path]

EVERY_KIND = """
FROM busybox:1
ARG q=1
ENV A=b
HEALTHCHECK CMD true
ENTRYPOINT ["/x"]
WORKDIR /w
VOLUME /vol
EXPOSE 80
LABEL l=m
RUN echo x > /file
COPY Dockerfile /
CMD ["a"]
"""

FAILING = "FROM busybox:1\nENV A=b\nRUN echo 1 > /file; exit 3"

BUILDS: dict[str, tuple[str, Mapping[str, object]]] = {
    "every step's stay": (EVERY_KIND, {"rm": 0, "memory": 64 << 20, "cpushares": 512}),
    "none stays": (EVERY_KIND, {}),
    "forced to go": (EVERY_KIND, {"rm": 0, "forcerm": 1}),
    "upon nothing": ("FROM scratch\nENV A=b\nCMD x", {"rm": 0}),
    "a command that fails": (FAILING, {}),
    "a command that fails and goes": (FAILING, {"forcerm": 1}),
    "a command that fails, and all stay": (FAILING, {"rm": 0}),
    "quietly": (FAILING, {"q": 1}),
    "no such command": ('FROM busybox:1\nRUN ["/nope"]', {}),
    "no such user": ("FROM busybox:1\nUSER nobody-known\nRUN true", {}),
    "arguments": ("FROM busybox:1\nARG q=1\nRUN exit $q", {"buildargs": {"q": "7"}}),
    "a step that fails and runs nothing": ("FROM busybox:1\nCOPY nope /", {"rm": 0}),
}


def left(socket: Path, dockerfile: str, query: Mapping[str, object]) -> list[dict[str, Any]]:
    """What a build leaves, oldest first."""
    parameters = q(nocache=1, networkmode="none", **query)
    body = context(dockerfile).getvalue()
    assert send(socket, Ask("POST", f"/build{parameters}", body, TAR)).status == 200
    listed: list[dict[str, Any]] = send(socket, Ask("GET", "/containers/json?all=1")).json()
    found = [send(socket, get(one["Id"], "json")).json() for one in listed]
    age = {one["Id"]: one["Created"] for one in found}
    return sorted(listed, key=lambda one: str(age[one["Id"]]))


def told(
    socket: Path, dockerfile: str, query: Mapping[str, object], *, today: bool
) -> list[object]:
    """Rows and inspections of what a build leaves; their names are made up."""
    smooth = Smoother()
    answers: list[object] = []
    for row in left(socket, dockerfile, query):
        assert row.pop("Names")
        # Of nothing dockerd has null.
        answers.append(smooth({**row, "Labels": row["Labels"] or {}}))
        ask = get(row["Id"], "json")
        heard = send(socket, ask)
        inspected = (modern(ask, heard) if today else heard).json()
        assert inspected.pop("Name")
        answers.append(smooth(inspected))
    return answers


@pytest.mark.parametrize("name", BUILDS)
def test_what_stays(with_busybox: Sockets, name: str) -> None:
    docker, lamina = with_busybox
    expected = told(docker, *BUILDS[name], today=True)
    assert_alike(told(lamina, *BUILDS[name], today=False), expected)


def happened(socket: Path) -> list[str]:
    """What is told of the container of a command that fails, and of its removal."""
    [failed] = left(socket, FAILING, {})
    assert send(socket, delete(str(failed["Id"]))).status == 204
    filters = {"type": ["container"], "container": [failed["Id"]]}
    told = send(socket, Ask("GET", f"/events{q(since=1, until=time.time(), filters=filters)}"))
    events = [json.loads(line) for line in told.body.splitlines()]
    return [event["Action"] for event in sorted(events, key=lambda event: int(event["timeNano"]))]


def test_events(with_busybox: Sockets) -> None:
    expected, got = (happened(socket) for socket in with_busybox)
    assert got == [action for action in expected if action != "attach"]


def looked_into(socket: Path, *, today: bool) -> list[object]:
    """What can be done with the container of a command that failed."""
    [failed] = left(socket, FAILING, {})
    name, smooth = str(failed["Id"]), Smoother()
    smooth(failed)
    story = [
        get(name, "changes"),
        get(name, "archive", path="/file"),
        Ask("DELETE", f"/images/{failed['Image']}"),
        Ask("POST", f"/commit{q(container=name, repo='looked-into')}"),
        post(name, "start"),
        post(name, "wait"),
        get(name, "logs", stdout=1),
        delete(name),
        get(name, "json"),
    ]
    answers: list[object] = []
    for ask in story:
        heard = modern(ask, send(socket, ask)) if today else send(socket, ask)
        if "/archive" in ask.target:
            heard = replace(heard, headers=(), body=heard.body[:100])
        answers.append(heard_alike(ask, heard, smooth))
    return answers


def test_looking_into_one(with_busybox: Sockets) -> None:
    docker, lamina = with_busybox
    expected = looked_into(docker, today=True)
    assert_alike(looked_into(lamina, today=False), expected)
