"""Containers over HTTP: the same answers as dockerd's, step by step."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.container_answers import Smoother, unframed
from tests.conformance.container_differences import modern
from tests.conformance.container_stories import (
    STORIES,
    Story,
)
from tests.conformance.wire import Ask, Heard, assert_alike, comparable, send

Sockets = tuple[Path, Path]

_NUMBER_OR_TIME = re.compile(r"[0-9:]+")


def heard_alike(ask: Ask, heard: Heard, smooth: Smoother) -> object:
    """What is compared of an answer; streams of frames by stream, archives by what they are of."""
    stat = heard.header("X-Docker-Container-Path-Stat")
    if stat is not None:
        told = json.loads(base64.b64decode(stat))
        told["mtime"] = told["mtime"][:4] if told["name"] != "link" else "…"
        heard = replace(heard, headers=tuple(h for h in heard.headers if "Path-Stat" not in h[0]))
        return told, comparable(heard, smooth)
    if ask.target.split("?")[0].endswith("/logs") and heard.status == 200:
        # 20.10 names no type of it.
        return unframed(heard.body)
    answer = comparable(heard, smooth)
    if isinstance(answer["body"], bytes):
        answer["body"] = smooth.text(answer["body"].decode(errors="replace"))
    return answer


def ordered(ask: Ask, heard: Heard) -> Heard:
    """Containers of the same second stand in any order, as what was pruned does."""
    if heard.status != 200 or heard.header("Content-Type") != "application/json":
        return heard
    value = heard.json()
    if ask.target.startswith("/containers/json"):
        value.sort(key=lambda container: container["Names"])
    elif ask.target.startswith("/images/json"):
        value.sort(key=lambda image: image["RepoTags"] or [])
    elif ask.target.endswith("/changes") and value:
        value.sort(key=lambda change: change["Path"])
    elif ask.target.startswith("/containers/prune"):
        value["ContainersDeleted"] = len(value["ContainersDeleted"] or ())
    elif isinstance(value, dict) and "Processes" in value:
        value["Processes"] = [
            [cell for cell in row if not _NUMBER_OR_TIME.fullmatch(cell)]
            for row in value["Processes"]
        ]
    return replace(heard, body=json.dumps(value).encode() + b"\n")


def told(socket: Path, story: Story, *, today: bool) -> list[Any]:
    """What one engine says to a story, and what its containers are at the end."""
    smooth = Smoother()
    answers = []
    for number, ask in enumerate(story):
        heard = send(socket, ask)
        while "/top" in ask.target and (b"[sleep]" in heard.body or b"init" in heard.body):
            # What was started is about to be executed, or to get its arguments.
            heard = send(socket, ask)
        heard = ordered(ask, modern(ask, heard) if today else heard)
        answers.append((f"{number} {ask}"[:200], heard_alike(ask, heard, smooth)))
    containers = send(socket, Ask("GET", "/containers/json?all=1")).json()
    for name in sorted(container["Names"][0] for container in containers):
        ask = Ask("GET", f"/containers{name}/json")
        heard = send(socket, ask)
        answers.append((str(ask), comparable(modern(ask, heard) if today else heard, smooth)))
    return answers


@pytest.mark.parametrize("story", list(STORIES.values()), ids=list(STORIES))
def test_stories(with_busybox: Sockets, story: Story) -> None:
    docker, lamina = with_busybox
    expected = told(docker, story, today=True)
    assert_alike(told(lamina, story, today=False), expected)
