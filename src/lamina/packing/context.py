"""What is sent to an engine for it to build: of a directory, or of what comes through a pipe.

```python
context = directory_context(Path("src"))
await engine.image_build(dockerfile=context.dockerfile, input_stream=context.stream, t=["app"])
```
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lamina.dockerfile.ignore import MAX_IGNORE_SIZE
from lamina.dockerfile.source import MAX_DOCKERFILE_SIZE
from lamina.errors import InvalidParameter, LaminaError
from lamina.layers.compression import Compression, detect
from lamina.layers.tarheader import BLOCK, checksum_holds
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.packing.archive import DirectoryArchive
from lamina.packing.selection import (
    DEFAULT_DOCKERFILE,
    IGNORE_FILE,
    AddedDockerfile,
    Selection,
)
from lamina.streams import ByteSource, chunks_of

_DOCKERFILE_MODE = 0o600
_GIT = ("git://", "ssh://", "git@", "github.com/")


@dataclass(frozen=True, slots=True)
class SentContext:
    """A tar to be sent, and the Dockerfile's path in it (empty: one of the usual names)."""

    dockerfile: str
    stream: ByteSource


def is_remote(text: str) -> bool:
    """Whether a context is one that the engine fetches: a URL, or a git repository."""
    return text.startswith(("http://", "https://", *_GIT))


def directory_context(
    directory: Path, dockerfile: Path | None = None, *, text: bytes | None = None
) -> SentContext:
    """The files of a directory, without what its ``.dockerignore`` leaves out.

    `dockerfile` is a path of its own, which may lead out of the directory; `text` a Dockerfile that
    is no file there. Either is sent under a name that ``COPY .`` does not copy. An ignore file
    beside the Dockerfile (``<Dockerfile>.dockerignore``) goes before the directory's own.
    Raises LaminaError, InvalidParameter (ignore file), OSError.
    """
    root = _resolved(directory, "context path")
    if not root.is_dir():
        raise LaminaError(f"unable to prepare context: context must be a directory: {root}")
    if text is not None:
        ignore = _read_ignore(root / IGNORE_FILE)
        return _with_added(root, text, ignore)
    found = _dockerfile(root, dockerfile)
    specific = _read_ignore(found.with_name(f"{found.name}.dockerignore"))
    ignore = _read_ignore(root / IGNORE_FILE) if specific is None else specific
    if not found.is_relative_to(root):
        return _with_added(root, _read(found, MAX_DOCKERFILE_SIZE, "Dockerfile"), ignore)
    inside = os.fspath(found.relative_to(root))
    needed = (IGNORE_FILE, inside) if specific is None else (f"{inside}.dockerignore", inside)
    selection = Selection.of(ignore or "", needed=needed)
    return SentContext(inside, DirectoryArchive(root, selection))


async def piped_context(file: BinaryIO, dockerfile: str = "") -> SentContext:
    """What comes through a pipe: a tar of any compression, or a Dockerfile, alone.

    `dockerfile` is a path in the tar. Raises LaminaError for a Dockerfile that is too large.
    """
    beginning = await asyncio.to_thread(file.read, BLOCK)
    if _is_archive(beginning):
        return SentContext(dockerfile, _continued(beginning, file))
    rest = await asyncio.to_thread(file.read, MAX_DOCKERFILE_SIZE + 1)
    return SentContext(DEFAULT_DOCKERFILE, _alone(_checked(beginning + rest)))


async def piped_dockerfile(file: BinaryIO) -> bytes:
    """The text of a Dockerfile that comes through a pipe. Raises LaminaError if it is too large."""
    return _checked(await asyncio.to_thread(file.read, MAX_DOCKERFILE_SIZE + 1))


def _with_added(root: Path, text: bytes, ignore: str | None) -> SentContext:
    added = AddedDockerfile(f".dockerfile.{secrets.token_hex(10)}", text)
    selection = Selection.of(ignore or "", needed=(IGNORE_FILE,))
    return SentContext(added.name, DirectoryArchive(root, selection, added=added, ignore=ignore))


def _dockerfile(root: Path, given: Path | None) -> Path:
    if given is None:
        given = root / DEFAULT_DOCKERFILE
        lower = given.with_name(DEFAULT_DOCKERFILE.lower())
        if not os.path.lexists(given) and os.path.lexists(lower):
            given = lower
    return _resolved(given, "Dockerfile path")


def _resolved(path: Path, what: str) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        # RuntimeError: links in a circle, before Python 3.13.
        reason = error.strerror if isinstance(error, OSError) else "too many links"
        raise LaminaError(
            f"unable to prepare context: unable to evaluate symlinks in {what}:"
            f" lstat {path.absolute()}: {str(reason).lower()}"
        ) from error


def _read_ignore(path: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return _read(path, MAX_IGNORE_SIZE, "ignore file").decode(errors="surrogateescape")
    return None


def _read(path: Path, limit: int, what: str) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidParameter(f"{what} {path} is larger than {limit} bytes")
    return data


def _checked(text: bytes) -> bytes:
    if len(text) > MAX_DOCKERFILE_SIZE:
        raise InvalidParameter(f"Dockerfile is larger than {MAX_DOCKERFILE_SIZE} bytes")
    return text


def _is_archive(beginning: bytes) -> bool:
    if detect(beginning) is not Compression.PLAIN:
        return True
    try:
        return len(beginning) == BLOCK and any(beginning) and checksum_holds(beginning)
    except ValueError:
        # Where a header has its sum there is no number.
        return False


async def _continued(beginning: bytes, file: BinaryIO) -> AsyncGenerator[bytes, None]:
    yield beginning
    async with contextlib.aclosing(chunks_of(file)) as chunks:
        async for chunk in chunks:
            yield chunk


async def _alone(text: bytes) -> AsyncGenerator[bytes, None]:
    header = header_bytes(DEFAULT_DOCKERFILE, size=len(text), mode=_DOCKERFILE_MODE)
    yield header + text + padding(len(text)) + END
