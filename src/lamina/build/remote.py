"""What a build takes from elsewhere: its context by URL, and the URLs of ADD."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from lamina.build.archives import is_archive
from lamina.build.context import BuildContext, spooled
from lamina.build.git import Checkout, GitSource, checked_out
from lamina.build.scratch import unnamed_file
from lamina.content.threads import run_to_end
from lamina.dockerfile.source import MAX_DOCKERFILE_SIZE
from lamina.errors import DigestMismatch, InvalidParameter, LaminaError
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.oci.digest import Digest
from lamina.progress import Report
from lamina.registry.transport import Transport
from lamina.streams import CHUNK_SIZE
from lamina.transfer.download import download

URL_SCHEMES: Final = ("http://", "https://")
_DOCKERFILE: Final = "Dockerfile"
_UNNAMED: Final = "__unnamed__"
_SECOND: Final = 1_000_000_000


def is_remote(source: str) -> bool:
    """Whether a source of ADD is not a path of the context."""
    return source.startswith(URL_SCHEMES) or GitSource.parse(source) is not None


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """A context from elsewhere; `is_dockerfile`: it is nothing but a Dockerfile."""

    context: BuildContext
    is_dockerfile: bool = False


@asynccontextmanager
async def remote_context(
    transport: Transport, remote: str, directory: Path, *, report: Report
) -> AsyncIterator[RemoteContext]:
    """The context behind a URL: of a git repository, an archive, or a Dockerfile.

    Raises LaminaError for what is no URL, or leads to nothing.
    """
    source = GitSource.parse(remote)
    if source is not None:
        async with (
            checked_out(source, directory, transport.proxies) as checkout,
            spooled(_threaded(checkout.tar()), directory) as context,
        ):
            yield RemoteContext(context)
        return
    if not remote.startswith(URL_SCHEMES):
        raise LaminaError(f"remoteURL ({remote}) could not be recognized as URL")
    async with unnamed_file(directory) as file:
        await _fetch(transport, remote, file, report, action=remote, subject="Downloading context")
        is_dockerfile = not await run_to_end(lambda: is_archive(_read_at(file, 0, CHUNK_SIZE)))
        tar = _read_all(file)
        if is_dockerfile:
            if file.seek(0, os.SEEK_END) > MAX_DOCKERFILE_SIZE:
                raise InvalidParameter(f"{remote} is no archive, and too large for a Dockerfile")
            tar = _packed(_DOCKERFILE, file, mtime_ns=0)
        async with spooled(_threaded(tar), directory) as context:
            yield RemoteContext(context, is_dockerfile)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that was downloaded, as the only one of a context; `has_name`: it came with one."""

    context: BuildContext
    name: str
    has_name: bool


@asynccontextmanager
async def remote_file(
    transport: Transport, url: str, directory: Path, *, checksum: str, report: Report
) -> AsyncIterator[RemoteFile]:
    """The file behind a URL of ADD. Raises InvalidParameter, DigestMismatch, LaminaError."""
    expected = Digest.parse(checksum) if checksum else None
    async with unnamed_file(directory) as file:
        headers = await _fetch(transport, url, file, report, action="Downloading")
        if expected is not None:
            await run_to_end(lambda: _verify(file, expected))
        found = _name(url, headers)
        name = found or _UNNAMED
        tar = _packed(name, file, mtime_ns=_modified(headers), mode=0o600)
        async with spooled(_threaded(tar), directory) as context:
            yield RemoteFile(context, name, has_name=bool(found))


@asynccontextmanager
async def repository(
    transport: Transport,
    source: GitSource,
    directory: Path,
    *,
    checksum: str,
    keep_git: bool,
) -> AsyncIterator[BuildContext]:
    """The files of a repository of ADD. Raises LaminaError."""
    async with checked_out(source, directory, transport.proxies, keep_git=keep_git) as checkout:
        _check_commit(checkout, checksum)
        async with spooled(_threaded(checkout.tar()), directory) as context:
            yield context


def _check_commit(checkout: Checkout, checksum: str) -> None:
    wanted = checksum.removeprefix("sha1:").removeprefix("sha256:")
    if wanted and not checkout.commit.startswith(wanted):
        raise LaminaError(f"expected checksum to match {checksum}, got {checkout.commit}")


async def _fetch(
    transport: Transport,
    url: str,
    file: BinaryIO,
    report: Report,
    *,
    action: str,
    subject: str = "",
) -> dict[str, str]:
    headers: dict[str, str] = {}
    chunks = download(
        transport,
        url,
        report,
        action=action,
        subject=subject,
        headers=headers,
        announce=False,
    )
    async with aclosing(chunks):
        async for chunk in chunks:
            await run_to_end(lambda data=chunk: file.write(data))  # type: ignore[misc]
    await run_to_end(file.flush)
    return {name.lower(): value for name, value in headers.items()}


def _name(url: str, headers: dict[str, str]) -> str:
    """What a file from a URL is called: the last step of its path, or what the server says."""
    for path in (unquote(urlsplit(url).path), _disposition(headers)):
        name = path.rpartition("/")[2].replace("\0", "")
        if name not in {"", ".", ".."}:
            return name
    return ""


def _disposition(headers: dict[str, str]) -> str:
    """The file name that the server gives; empty if it gives none, or makes no sense."""
    message = EmailMessage()
    try:
        message["Content-Disposition"] = headers.get("content-disposition", "")
        return message.get_filename("")
    except (ValueError, IndexError):
        return ""


def _modified(headers: dict[str, str]) -> int:
    """When the server says that the file was changed, in unix nanoseconds; 0 if it does not."""
    try:
        moment = parsedate_to_datetime(headers.get("last-modified", ""))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        return 0
    return max(0, seconds) * _SECOND


def _verify(file: BinaryIO, expected: Digest) -> None:
    hasher = expected.hasher()
    for piece in _read_all(file):
        hasher.update(piece)
    actual = Digest.from_hasher(hasher)
    if actual != expected:
        raise DigestMismatch(expected, actual)


def _packed(name: str, file: BinaryIO, *, mtime_ns: int, mode: int = 0o644) -> Iterator[bytes]:
    size = file.seek(0, os.SEEK_END)
    yield header_bytes(name, size=size, mode=mode, mtime_ns=mtime_ns)
    yield from _read_all(file)
    yield padding(size)
    yield END


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _read_all(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(CHUNK_SIZE):
        yield piece


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that are made in a worker thread."""
    while piece := await run_to_end(lambda: next(pieces, b"")):
        yield piece
