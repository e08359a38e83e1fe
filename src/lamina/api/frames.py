"""Docker's framing of two streams in one: eight bytes of head, then data.

The head is the stream's number (1 stdout, 2 stderr), three zeros, and the length of the data as
four bytes, the highest first.
"""

import struct
from typing import Final

from lamina.errors import EngineError
from lamina.streams import Frame

RAW_STREAM: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM: Final = "application/vnd.docker.multiplexed-stream"

_HEAD: Final = struct.Struct(">BxxxL")
_STREAMS: Final = 4
"""Stream numbers below this one exist: stdin, stdout, stderr, and errors of the engine itself."""


def encode_frame(frame: Frame) -> bytes:
    """A frame as it is sent."""
    return _HEAD.pack(frame.stream, len(frame.data)) + frame.data


class FrameReader:
    """Cuts a multiplexed stream into frames, whose data may come in several pieces."""

    def __init__(self) -> None:
        self._head = b""
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames, or pieces of one, that `data` holds. Raises EngineError if it is no frame."""
        frames: list[Frame] = []
        view = memoryview(data)
        while view:
            if not self._left:
                missing = _HEAD.size - len(self._head)
                self._head += bytes(view[:missing])
                view = view[missing:]
                if len(self._head) < _HEAD.size:
                    break
                self._stream, self._left = _HEAD.unpack(self._head)
                self._head = b""
                if self._stream >= _STREAMS:
                    raise EngineError(f"Unrecognized input header: {self._stream}")
                continue
            piece = bytes(view[: self._left])
            view = view[len(piece) :]
            self._left -= len(piece)
            frames.append(Frame(self._stream, piece))
        return frames
