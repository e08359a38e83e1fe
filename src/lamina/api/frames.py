"""Docker's framing of two streams in one: eight bytes of head, then data.

The head is the stream's number (1 stdout, 2 stderr), three zeros, and the length of the data as
four bytes, the highest first.
"""

import struct
from typing import Final

from lamina.streams import Frame

RAW_STREAM: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM: Final = "application/vnd.docker.multiplexed-stream"

_HEAD: Final = struct.Struct(">BxxxL")


def encode_frame(frame: Frame) -> bytes:
    """A frame as it is sent."""
    return _HEAD.pack(frame.stream, len(frame.data)) + frame.data
