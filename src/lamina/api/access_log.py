"""One structured line per request, as logfmt or JSON."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Literal

from lamina.api.exchange import Exchange

LogFormat = Literal["logfmt", "json"]

_PATIENCE = 0.2
"""Seconds for which lines wait for others, so that a burst of requests is one write."""

_MAX_TARGET = 2000


class AccessLog:
    """Writes a line for every finished request through `write`, which gets whole lines.

    Fields: ``ts`` (RFC 3339, UTC), ``level``, ``msg``, ``method``, ``path`` (with the query, cut
    after 2,000 characters), ``status`` (0 if the client left before there was one), ``ms`` (from
    the head's last byte to the reply's), ``in`` and ``out`` (bytes of the bodies), ``aborted`` (if
    so).
    """

    def __init__(self, write: Callable[[str], None], *, format: LogFormat = "logfmt") -> None:
        self._write = write
        self._render = _render_json if format == "json" else _render_logfmt
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._stamp = ""

    def log(self, exchange: Exchange, *, seconds: float, aborted: bool) -> None:
        """Write down a request that took `seconds`."""
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{self._stamp}.{int(now % 1 * 1000):03}Z"
        self._lines.append(self._render(exchange, stamp, seconds * 1000, aborted))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self.flush)

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._write("".join(lines))


def _render_logfmt(exchange: Exchange, stamp: str, ms: float, aborted: bool) -> str:  # noqa: FBT001
    target = exchange.target[:_MAX_TARGET]
    # Text that could be taken for another field, or for another line, is quoted.
    if not target.isascii() or not target.isprintable() or " " in target or '"' in target:
        target = json.dumps(target)
    return (
        f"ts={stamp} level=info msg=request method={exchange.method} path={target} "
        f"status={exchange.status} ms={ms:.3f} in={exchange.received} out={exchange.sent}"
        f"{' aborted=true' if aborted else ''}\n"
    )


def _render_json(exchange: Exchange, stamp: str, ms: float, aborted: bool) -> str:  # noqa: FBT001
    fields: dict[str, object] = {
        "ts": stamp,
        "level": "info",
        "msg": "request",
        "method": exchange.method,
        "path": exchange.target[:_MAX_TARGET],
        "status": exchange.status,
        "ms": round(ms, 3),
        "in": exchange.received,
        "out": exchange.sent,
    }
    if aborted:
        fields["aborted"] = True
    return json.dumps(fields) + "\n"
