"""Where something stands in a Dockerfile, and the error which says so."""

from dataclasses import dataclass
from typing import Final

from lamina.errors import InvalidParameter

MAX_DOCKERFILE_SIZE: Final = 4 << 20
"""Bytes; whoever reads a Dockerfile reads no more than this."""

MAX_INSTRUCTIONS: Final = 10_000
"""Of one Dockerfile: about a second's work to read."""

MAX_LINE_SIZE: Final = 65535
"""Bytes of one line without its end: the bound BuildKit has from its scanner's buffer."""


@dataclass(frozen=True, slots=True, order=True)
class Lines:
    """The lines from `start` to `end`, both counted from 1 and both included."""

    start: int
    end: int

    def __str__(self) -> str:
        return str(self.start) if self.start == self.end else f"{self.start}-{self.end}"


NOWHERE: Final = Lines(0, 0)
"""Of a node that no Dockerfile holds, such as a trigger recorded in an image."""


class DockerfileError(InvalidParameter):
    """A Dockerfile that cannot be read; `lines` says where, `reason` is the message without it."""

    def __init__(self, message: str, *, lines: Lines = NOWHERE, reason: str = "") -> None:
        super().__init__(message)
        self.lines = lines
        self.reason = reason or message

    def on(self, lines: Lines) -> "DockerfileError":
        """The same error with its place, unless it knows a nearer one."""
        if self.lines == NOWHERE:
            self.lines = lines
        return self


class ParseError(DockerfileError):
    """An instruction that is wrong in itself, worded with its line as the classic builder does."""

    def __init__(self, reason: str, *, lines: Lines) -> None:
        message = f"dockerfile parse error on line {lines.start}: {reason}"
        super().__init__(message, lines=lines, reason=reason)
