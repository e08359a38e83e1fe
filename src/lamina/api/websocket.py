"""WebSocket (RFC 6455), as a server speaks it: what frames mean, without I/O.

Only a stream of bytes is carried: the payloads of the client's data frames, text or binary, one
after the other as they arrive, whatever the frames' bounds. So a frame may be of any length.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lamina.errors import InvalidParameter

__all__ = ["Close", "Data", "Decoder", "Opcode", "Ping", "ProtocolError", "accept_key", "encode"]

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_MAX_CONTROL: Final = 125
"""Bytes that the payload of a ping, a pong or a close may have."""


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True)
class Data:
    """A part of what the client says."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered by a pong with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The client's last word, to be answered by a close; its payload is a status and a reason."""

    payload: bytes


class ProtocolError(ConnectionError):
    """The client does not speak WebSocket; `status` is what a close tells it of that."""

    status: Final = 1002


def accept_key(key: str) -> str:
    """The answer to a handshake's ``Sec-WebSocket-Key``. InvalidParameter."""
    try:
        nonce = base64.b64decode(key, validate=True)
    except ValueError:
        nonce = b""
    if len(nonce) != _KEY_BYTES:
        raise InvalidParameter("mismatch challenge/response")
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def encode(opcode: Opcode, payload: bytes) -> bytes:
    """A whole frame, as servers send them: without a mask."""
    size = len(payload)
    first = 0x80 | opcode
    if size <= _MAX_CONTROL:
        head = struct.pack(">BB", first, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, 126, size)
    else:
        head = struct.pack(">BBQ", first, 127, size)
    return head + payload


class Decoder:
    """Takes a client's bytes as they come, and gives what they mean."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode: Opcode | None = None
        """Of the frame whose payload comes; None between frames."""
        self._final = True
        """Whether that frame is the last of its message."""
        self._left = 0
        """Bytes of its payload that are still to come."""
        self._mask = b""
        self._in_message = False

    def feed(self, data: bytes) -> list[Data | Ping | Close]:
        """What has arrived whole with these bytes, data also in part. ProtocolError.

        Nothing follows a close.
        """
        self._buffer += data
        found: list[Data | Ping | Close] = []
        while self._opcode is not None or self._begin_frame():
            message = self._take_payload()
            if message is not None:
                found.append(message)
            if isinstance(message, Close) or self._opcode is not None:
                break
        return found

    def _begin_frame(self) -> bool:
        """Read the head of a frame; False if there is not all of it."""
        if len(self._buffer) < 2:
            return False
        first, second = self._buffer[:2]
        more = {126: 2, 127: 8}.get(second & 0x7F, 0)
        size = 2 + more + 4
        if first & 0x70 or not second & 0x80:
            raise ProtocolError("frames must be masked, and have no reserved bits")
        if len(self._buffer) < size:
            return False
        self._left = int.from_bytes(self._buffer[2 : 2 + more]) if more else second & 0x7F
        self._mask = bytes(self._buffer[2 + more : size])
        self._final = bool(first & 0x80)
        self._opcode = self._checked(first & 0x0F)
        del self._buffer[:size]
        return True

    def _checked(self, number: int) -> Opcode:
        try:
            opcode = Opcode(number)
        except ValueError:
            raise ProtocolError(f"there are no frames of type {number}") from None
        if opcode >= Opcode.CLOSE:
            if not self._final or self._left > _MAX_CONTROL:
                raise ProtocolError("a control frame is in parts, or too long")
            return opcode
        if self._left >> 63 or (opcode is Opcode.CONTINUATION) is not self._in_message:
            raise ProtocolError("a message begins in another, or a frame is too long")
        self._in_message = not self._final
        return opcode

    def _take_payload(self) -> Data | Ping | Close | None:
        """What there is of data, or a control frame if all of it is there."""
        opcode = self._opcode
        is_control = opcode is not None and opcode >= Opcode.CLOSE
        if is_control and len(self._buffer) < self._left:
            return None
        payload = self._unmask(min(self._left, len(self._buffer)))
        if not self._left:
            self._opcode = None
        if opcode is Opcode.CLOSE:
            return Close(payload)
        if opcode is Opcode.PING:
            return Ping(payload)
        return Data(payload) if payload and not is_control else None

    def _unmask(self, size: int) -> bytes:
        """Take that many bytes of the payload."""
        mask = (self._mask * (size // 4 + 1))[:size]
        number = int.from_bytes(self._buffer[:size]) ^ int.from_bytes(mask)
        del self._buffer[:size]
        self._left -= size
        # The next of the payload begins within the mask.
        self._mask = self._mask[size % 4 :] + self._mask[: size % 4]
        return number.to_bytes(size)
