"""What of answers about containers is compared, and how streams are read."""

import re
import struct
from typing import Any

ID = re.compile(r"[0-9a-f]{64}")
NUMBERED = re.compile(r"\b[0-9a-f]{12}\b")

OF_THE_ENGINE = {
    *("GraphDriver", "LogPath", "ResolvConfPath", "HostnamePath", "HostsPath", "Driver", "Source"),
    *("SandboxID", "SandboxKey", "NetworkID", "EndpointID", "DockerVersion", "Hostname", "Runtime"),
    *("Created", "StartedAt", "FinishedAt", "LastTagTime", "Pid", "SizeRootFs", "MaskedPaths"),
}
"""What is each engine's own, or a moment."""


class Smoother:
    """Takes from an engine's answers what no two engines can have in common.

    IDs become "id 1", "id 2" and so on as they appear.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Text with IDs renamed, the short ones of containers too."""
        text = ID.sub(lambda match: self._name(match[0]), text)
        return NUMBERED.sub(lambda match: self._short(match[0]), text)

    def _name(self, id: str) -> str:
        return self._names.setdefault(id, f"id {len(self._names) + 1}")

    def _short(self, text: str) -> str:
        return next((name for id, name in self._names.items() if id.startswith(text)), text)

    def __call__(self, value: Any) -> Any:  # noqa: ANN401 - any JSON in, any JSON out
        if isinstance(value, dict):
            return {key: self._member(key, value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [self(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _member(self, key: str, item: object) -> object:
        if key in OF_THE_ENGINE:
            return "…"
        if key == "Status" and isinstance(item, str):
            return re.sub(r"(Less than a|About a|\d+) (second|minute)s?( ago)?", "some time", item)
        return self(item)


def unframed(data: bytes) -> object:
    """The bytes of each stream; as they are, if they are no frames."""
    streams: dict[int, bytes] = {}
    rest = data
    while len(rest) >= 8 and rest[0] in {1, 2} and rest[1:4] == bytes(3):
        [size] = struct.unpack(">L", rest[4:8])
        streams[rest[0]] = streams.get(rest[0], b"") + rest[8 : 8 + size]
        rest = rest[8 + size :]
    return data if rest else streams
