"""What two engines must agree on when they tell of a pull or a push.

How layers of one image take turns is a matter of time; so is how often an amount is told. What is
the same every time: the lines about the whole, in which order layers are begun, and each layer's
own course, but for what dockerd does not tell where the next thing has happened already.
"""

import re
from collections import deque
from collections.abc import Sequence
from typing import Any

from tests.conformance.wire import Heard, assert_alike

_SIZE = re.compile(r"sha256:[0-9a-f]{64} size: \d+")
_A_MATTER_OF_TIME = frozenset({"Waiting", "Downloading", "Pushing", "Verifying Checksum"})
"""What neither engine need tell."""
_PASSED = frozenset({"Download complete", "Extracting"})
"""What every layer goes through; of a quick one dockerd may tell only what came after it."""


def course(heard: Heard, *, own_manifest: bool = False) -> Any:  # noqa: ANN401 - for comparison
    """The story of a stream. `own_manifest`: the engine compressed layers, as no two do alike."""
    if heard.status != 200:
        return heard.status, heard.message
    assert heard.header("Content-Type") == "application/json"
    assert heard.chunks is not None
    assert all(chunk.endswith(b"\r\n") and chunk.count(b"\r\n") == 1 for chunk in heard.chunks)
    lines: list[Any] = []
    layers: dict[str, list[str]] = {}
    for message in heard.messages:
        if message.get("progressDetail") is None or "aux" in message:
            lines.append(_smooth(message) if own_manifest else message)
            continue
        assert list(message) == (
            ["status", "progressDetail", "progress", "id"]
            if message["progressDetail"]
            else ["status", "progressDetail", "id"]
        )
        told = layers.setdefault(message["id"], [])
        if message["status"] not in _A_MATTER_OF_TIME and message["status"] not in told[-1:]:
            told.append(message["status"])
    return lines, list(layers.items())


def assert_same_pulls(lamina: Heard, docker: Heard) -> None:
    """Fail unless both tell of one pull in the same way."""
    got, expected = course(lamina), course(docker)
    if lamina.status == docker.status == 200:
        layers = dict(got[1])
        told = [(name, _filled(steps, layers.get(name, []))) for name, steps in expected[1]]
        expected = expected[0], told
    assert_alike(got, expected)


def _filled(steps: Sequence[str], complete: Sequence[str]) -> list[str]:
    """What dockerd told of a layer, with what it had no time for taken out of a complete course.

    Who watches a download in dockerd is told its state, each time the watcher gets to run, and not
    every state there was: only the last one is sure to be told.
    """
    left, filled = deque(steps), []
    for step in complete:
        if left and left[0] == step:
            filled.append(left.popleft())
        elif step in _PASSED and left:
            filled.append(step)
    return [*filled, *left]


def _smooth(message: dict[str, Any]) -> dict[str, Any]:
    if "aux" in message:
        return {**message, "aux": {**message["aux"], "Digest": "…", "Size": "…"}}
    if "status" in message:
        return {**message, "status": _SIZE.sub("…", message["status"])}
    return message
