"""Containers between two automatic starts: what is said of them, and what ends that."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.container_answers import Smoother
from tests.conformance.container_differences import modern
from tests.conformance.container_stories import (
    JSON,
    SHELL,
    Story,
    create,
    delete,
    get,
    listed,
    post,
    where,
)
from tests.conformance.test_http_containers import heard_alike, ordered
from tests.conformance.wire import Ask, assert_alike, send

Sockets = tuple[Path, Path]

MEANWHILE: Story = [
    listed(),
    where(status="restarting"),
    where(status="running"),
    where(exited=3),
    delete("aa"),
    post("aa", "start"),
    post("aa", "pause"),
    get("aa", "top"),
    Ask("POST", "/containers/aa/exec", b'{"Cmd":["true"]}', JSON),
    create("bb", "true", host={"NetworkMode": "container:aa"}),
    post("bb", "start"),
    delete("bb", force=1),
    Ask("DELETE", "/images/busybox:1"),
    Ask("POST", "/containers/prune"),
]


def state(socket: Path) -> tuple[Any, Any]:
    """Whether ``aa`` waits to be started again, and how often it was."""
    found = send(socket, get("aa", "json")).json()
    return found["State"]["Restarting"], found["RestartCount"]


def begin(socket: Path) -> None:
    """Start ``aa``, which ends at once and again and again."""
    made = create("aa", *SHELL, "exit 3", host={"RestartPolicy": {"Name": "always"}})
    assert send(socket, made).status == 201
    assert send(socket, post("aa", "start")).status == 204


def told_meanwhile(socket: Path, *, today: bool) -> list[object]:
    """What is said of it between two starts: it takes longer each time, once long enough."""
    begin(socket)
    while True:
        before = state(socket)
        smooth = Smoother()
        answers: list[object] = []
        for ask in MEANWHILE if before[0] else ():
            heard = ordered(ask, send(socket, ask))
            heard = modern(ask, heard) if today else heard
            answers.append((str(ask), heard_alike(ask, heard, smooth)))
        if answers and state(socket) == before:
            return answers


def test_what_is_said_meanwhile(with_busybox: Sockets) -> None:
    docker, lamina = with_busybox
    expected = told_meanwhile(docker, today=True)
    assert_alike(told_meanwhile(lamina, today=False), expected)


ENDS = {
    "stop": post("aa", "stop"),
    "kill": post("aa", "kill"),
    "signal": post("aa", "kill", signal="TERM"),
    "remove": delete("aa", force=1),
}


@pytest.mark.parametrize("ask", list(ENDS.values()), ids=list(ENDS))
def test_what_ends_it(with_busybox: Sockets, ask: Ask) -> None:
    found = []
    for socket in with_busybox:
        begin(socket)
        while not (waits := state(socket))[0] or waits[1] < 3:
            pass
        heard = send(socket, ask)
        while (said := send(socket, get("aa", "json")).json().get("State", {})).get("Running"):
            pass
        found.append((heard.status, said.get("Status")))
    assert found == [(204, None if ask.method == "DELETE" else "exited")] * 2
