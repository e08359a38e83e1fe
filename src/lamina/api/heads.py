"""The heads of replies, prepared beforehand: making one from its parts costs as much as routing."""

import time
from typing import Literal

Told = Literal["all", "version", "nothing"]
"""What a reply tells of the server in its headers."""

_MAX_HEADS = 64
"""Heads that are kept, all of them for a second."""


class Heads:
    """The heads of replies: everything up to the value of ``Content-Length``, prepared beforehand.

    Header names stand in the order in which dockerd sends them.
    """

    _REASONS = {  # noqa: RUF012
        101: "UPGRADED",
        200: "OK",
        201: "Created",
        204: "No Content",
        304: "Not Modified",
        400: "Bad Request",
        401: "Unauthorized",
        403: "Forbidden",
        404: "Not Found",
        409: "Conflict",
        431: "Request Header Fields Too Large",
        500: "Internal Server Error",
        501: "Not Implemented",
        503: "Service Unavailable",
    }

    def __init__(self, *, server: str, api_version: str, experimental: bool = False) -> None:
        self._server = server
        self._api_version = api_version
        self._experimental = "true" if experimental else "false"
        self._second = 0
        self._heads: dict[tuple[int, str, str, Told], bytes] = {}

    def get(self, status: int, content_type: str, more: str = "", told: Told = "all") -> bytes:
        """A head that lacks its length or transfer coding, and the blank line.

        `more` are further header lines, each with its CRLF. `told` is what it tells of the server:
        ``version`` leaves the experimental flag out, ``nothing`` all but the date.
        """
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._heads.clear()
        key = (status, content_type, more, told)
        head = self._heads.get(key)
        if head is None:
            head = self._make(status, content_type, more, told)
            if len(self._heads) < _MAX_HEADS:
                self._heads[key] = head
        return head

    def _make(self, status: int, content_type: str, more: str, told: Told) -> bytes:
        lines = [f"HTTP/1.1 {status} {self._REASONS.get(status, 'Unknown')}"]
        if told != "nothing":
            lines.append(f"Api-Version: {self._api_version}")
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        if told == "all":
            lines.append(f"Docker-Experimental: {self._experimental}")
        if told != "nothing":
            lines.append(f"Ostype: linux\r\nServer: {self._server}")
        lines.append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime(self._second)))
        return ("\r\n".join(lines) + "\r\n" + more).encode("latin-1")
