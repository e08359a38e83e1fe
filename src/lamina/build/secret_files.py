"""Secrets that are files of this machine, pipes among them, such as a shell's ``<(command)``."""

import asyncio
import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Final

from lamina.content.threads import run_to_end
from lamina.errors import InvalidParameter, LaminaError

MAX_SECRET: Final = 500 << 10
"""Bytes of a secret, as BuildKit has it."""

_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


async def read_secret(name: str, path: Path) -> bytes:
    """The bytes of a secret; of a pipe they are waited for, which can be cancelled.

    Raises LaminaError for what cannot be read, InvalidParameter for more than MAX_SECRET bytes.
    """
    with contextlib.ExitStack() as stack:
        try:
            # The thread puts it there: whoever is cancelled meanwhile never sees the result.
            file = await run_to_end(partial(_open, path, stack))
            value = await _read(file)
        except OSError as error:
            raise LaminaError(f"failed to read secret {name}: {error.strerror}") from error
    if len(value) > MAX_SECRET:
        raise InvalidParameter(f"invalid secret size: {name} is larger than {MAX_SECRET}")
    return value


def _open(path: Path, stack: contextlib.ExitStack) -> int:
    file = os.open(path, _OPEN)
    stack.callback(os.close, file)
    return file


async def _read(file: int) -> bytes:
    """All that is to be read, or one byte too many."""
    value = b""
    while len(value) <= MAX_SECRET:
        await _readable(file)
        try:
            piece = await run_to_end(partial(os.read, file, MAX_SECRET + 1 - len(value)))
        except BlockingIOError:
            continue
        if not piece:
            break
        value += piece
    return value


async def _readable(file: int) -> None:
    """Wait until there is something to read, or the end."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(file, ready.set)
    except PermissionError:
        return  # A file on a disk, of which there always is.
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)
