"""What two engines must agree on when they tell of a pull or a push.

How layers of one image take turns is a matter of time; so is how often an amount is told. What is
the same every time: the lines about the whole, each layer's own course, and in which order layers
are begun.
"""

import re
from typing import Any

from tests.conformance.wire import Heard

_SIZE = re.compile(r"sha256:[0-9a-f]{64} size: \d+")
_A_MATTER_OF_TIME = frozenset({"Waiting", "Downloading", "Pushing", "Verifying Checksum"})
"""What dockerd leaves out where the next thing happens before it has been told."""


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


def _smooth(message: dict[str, Any]) -> dict[str, Any]:
    if "aux" in message:
        return {**message, "aux": {**message["aux"], "Digest": "…", "Size": "…"}}
    if "status" in message:
        return {**message, "status": _SIZE.sub("…", message["status"])}
    return message
