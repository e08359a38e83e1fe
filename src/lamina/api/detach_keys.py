"""The keys by which a user lets go of a terminal without ending what runs on it."""

from typing import Final

from lamina.errors import InvalidParameter

_DEFAULT: Final = b"\x10\x11"
"""Ctrl-P and Ctrl-Q."""

_CONTROL: Final = {
    **{chr(ord("a") + index): index + 1 for index in range(26)},
    "@": 0,
    "[": 27,
    "\\": 28,
    "]": 29,
    "^": 30,
    "_": 31,
}


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` as the bytes that a terminal sends; the default where `text` is empty.

    Raises InvalidParameter.
    """
    if not text:
        return _DEFAULT
    keys = bytearray()
    for name in text.split(","):
        if len(name) == 1 and name.isascii():
            keys += name.encode()
        elif name.startswith("ctrl-") and (key := _CONTROL.get(name[5:])) is not None:
            keys.append(key)
        else:
            raise InvalidParameter(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


class DetachKeys:
    """Looks for the keys in what a user types."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What of the input is for the process, and whether the user wants to let go.

        A beginning of the sequence is held back until it is clear what it is.
        """
        data = self._held + data
        self._held = b""
        at = data.find(self._keys)
        if at >= 0:
            return data[:at], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                self._held = data[-length:]
                return data[:-length], False
        return data, False
