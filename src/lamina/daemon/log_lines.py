"""Log lines: what the daemon itself has to say, in the form that its lines about requests have."""

import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import TextIO

from lamina.api.access_log import LogFormat
from lamina.daemon.config import DaemonConfig, LogLevel

_LEVELS: dict[LogLevel, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


class _LogLine(logging.Formatter):
    """A record as one line of logfmt or JSON, with the fields that requests have too."""

    def __init__(self, format: LogFormat) -> None:
        super().__init__()
        self._json = format == "json"

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "ts": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(fields)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def make_log(config: DaemonConfig, stream: TextIO) -> logging.Logger:
    """The daemon's logger, writing lines to `stream`."""
    log = logging.getLogger("lamina")
    log.setLevel(_LEVELS[config.log_level])
    log.propagate = False
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LogLine(config.log_format))
    log.handlers[:] = [handler]
    return log


def line_writer(stream: TextIO) -> Callable[[str], None]:
    """A function that writes text to `stream`, for `AccessLog`."""

    def write(text: str) -> None:
        # A log that cannot be written is no reason to stop serving.
        with contextlib.suppress(OSError):
            stream.write(text)
            stream.flush()

    return write


def _quoted(value: str) -> str:
    """A value of logfmt: quoted where it could be taken for another field, or for another line."""
    plain = value.isascii() and value.isprintable() and not set(value) & set(' "=')
    return value if plain and value else json.dumps(value)
