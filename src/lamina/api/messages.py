"""Progress events as Docker's JSON messages, and back.

A message is one JSON object ended by CRLF. Its keys, in the order in which dockerd writes them:
``stream``, ``status``, ``progressDetail``, ``progress``, ``id``, ``errorDetail``, ``error``,
``aux``. A server sends one message per HTTP chunk, because there are clients which parse chunk by
chunk; `Lines` and `MessageReader` ask for no more than newlines, because proxies may join or
split chunks.

What a build check found is an ``aux`` with the key ``BuildWarning``, which dockerd has not. It has
the key ``ID``, too: to docker's client the last ``aux`` is the one that says what was built.
"""

from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from lamina.api.json_text import encode_in_order
from lamina.errors import CommandFailed, EngineError
from lamina.progress import (
    Aux,
    BuildArchive,
    BuildOutput,
    BuildStep,
    BuildWarning,
    Event,
    LayerProgress,
    StatusLine,
    StreamText,
)
from lamina.units import human_size

MAX_MESSAGE = 4 << 20
"""Bytes in one message; more is no message but an attempt to fill our memory."""


class _Detail(msgspec.Struct, omit_defaults=True):
    """``progressDetail``: bytes done and bytes to do."""

    current: int = 0
    total: int = 0


class _ErrorDetail(msgspec.Struct, omit_defaults=True):
    """``errorDetail``: what went wrong, and the exit status of a command that failed."""

    code: int = 0
    message: str = ""


class _Message(msgspec.Struct, rename="camel", omit_defaults=True):
    """Every key that a message may have, in dockerd's order."""

    stream: str = ""
    status: str = ""
    progress_detail: _Detail | None = None
    progress: str = ""
    id: str = ""
    error_detail: _ErrorDetail | None = None
    error: str = ""
    aux: Any = None


class _Warning(msgspec.Struct, rename="pascal"):
    """The value of ``BuildWarning``."""

    rule: str
    detail: str
    url: str = msgspec.field(name="URL")
    first_line: int
    last_line: int


class _WarningAux(msgspec.Struct):
    """An ``aux`` that is a warning."""

    id: str = msgspec.field(name="ID")
    warning: _Warning = msgspec.field(name="BuildWarning")


_decode = msgspec.json.Decoder(_Message, strict=False).decode


def encode(event: Event) -> bytes:
    """The JSON message of `event`, with its CRLF; empty for one that the API has no message for."""
    match event:
        case BuildStep() | BuildOutput() | BuildArchive():
            # The classic build's messages are its text, and an archive is an answer of its own.
            return b""
        case StatusLine(text, id):
            message = _Message(status=text, id=id or "")
        case LayerProgress(id, action, current, total):
            message = _Message(
                status=action,
                progress_detail=_Detail(max(current or 0, 0), max(total or 0, 0)),
                progress=progress_bar(current or 0, total or 0),
                id=id,
            )
        case StreamText(text):
            message = _Message(stream=text)
        case Aux(value, is_progress):
            message = _Message(progress_detail=_Detail() if is_progress else None, aux=value)
        case BuildWarning():
            message = _Message(aux=_warning_aux(event))
        case _:
            assert_never(event)
    return encode_in_order(message) + b"\r\n"


def encode_error(text: str, *, code: int = 0) -> bytes:
    """The last message of a stream that fails; `code` is a command's exit status."""
    message = _Message(error_detail=_ErrorDetail(code, text), error=text)
    return encode_in_order(message) + b"\r\n"


def decode(line: bytes) -> Event | None:
    """The event that one message tells, None for a message of no known kind.

    Raises EngineError for an error message, and for text that is no message at all; CommandFailed
    for one with an exit status.
    """
    try:
        message = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"the engine sent something that is no JSON message: {error}") from error
    if message.error_detail is not None or message.error:
        detail = message.error_detail
        text = detail.message if detail and detail.message else message.error
        if detail is not None and detail.code:
            raise CommandFailed(text, code=detail.code)
        raise EngineError(text)
    if isinstance(message.aux, dict):
        return _warning(message.aux) or Aux(
            message.aux, is_progress=message.progress_detail is not None
        )
    if message.stream:
        return StreamText(message.stream)
    if message.progress_detail is not None:
        amounts = message.progress_detail
        current = amounts.current or (0 if amounts.total else None)
        return LayerProgress(message.id, message.status, current, amounts.total or None)
    if message.status:
        return StatusLine(message.status, message.id or None)
    return None


def _warning_aux(event: BuildWarning) -> _WarningAux:
    return _WarningAux(
        event.image,
        _Warning(event.rule, event.detail, event.url, event.first_line, event.last_line),
    )


def _warning(aux: dict[str, Any]) -> BuildWarning | None:
    """The warning that an ``aux`` is, if it is one."""
    try:
        found = msgspec.convert(aux, _WarningAux)
    except msgspec.ValidationError:
        return None
    warning = found.warning
    return BuildWarning(
        image=found.id,
        rule=warning.rule,
        detail=warning.detail,
        url=warning.url,
        first_line=warning.first_line,
        last_line=warning.last_line,
    )


class Lines:
    """Cuts a byte stream, however it is chunked, into lines; memory is bounded by one line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without empty ones. EngineError for one without end."""
        self._rest += data
        lines: list[bytearray] = []
        if b"\n" in data:
            *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > MAX_MESSAGE:
            raise EngineError("the engine sent a message without an end")
        return [bytes(line) for line in lines if line.strip()]

    def close(self) -> list[bytes]:
        """A last line that lacks its end."""
        line, self._rest = bytes(self._rest), bytearray()
        return [line] if line.strip() else []


class MessageReader:
    """Cuts a byte stream into events, as `Lines` does into lines."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes. Raises EngineError, as `decode` does."""
        return _events(self._lines.feed(data))

    def close(self) -> Iterator[Event]:
        """The event of a last message that lacks its line end."""
        return _events(self._lines.close())


def _events(lines: list[bytes]) -> Iterator[Event]:
    for line in lines:
        if (event := decode(line)) is not None:
            yield event


_BAR_CELLS = 50


def progress_bar(current: int, total: int) -> str:
    """The ready-made bar of the key ``progress``: ``[=====>     ]  1.2MB/3MB``, 50 cells wide.

    Where the total is unknown it is the amount alone; without any amount it is empty.
    """
    if total <= 0:
        return f"{human_size(current):>8}" if current > 0 else ""
    done = min(int(current / total * 100) // 2, _BAR_CELLS)
    amounts = f"{human_size(current):>8}"
    if current <= total:
        amounts += f"/{human_size(total)}"
    return f"[{'=' * done}>{' ' * (_BAR_CELLS - done)}] {amounts}"
