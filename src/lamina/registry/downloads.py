"""Blobs of one repository at one endpoint: whether they are there, and their bytes."""

import re
from typing import Protocol

from lamina.errors import InvalidDigest, SizeMismatch
from lamina.oci.digest import Digest
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.session import Session, refusal
from lamina.registry.token import scope
from lamina.registry.transport import Answer

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)")


class Sink(Protocol):
    """Where a blob goes. Nothing else writes to it meanwhile; `content.BlobWriter` is one."""

    @property
    def offset(self) -> int:
        """Bytes it has: where the download goes on."""
        ...

    async def write(self, data: bytes) -> None:
        """Append."""
        ...


async def stat(session: Session, name: str, digest: Digest) -> int | None:
    """The size of a blob in bytes, None if the repository does not have it.

    Raises as `Session.request` does.
    """
    async with await session.request(
        "HEAD", _path(name, digest), scopes=[scope(name, "pull")], expected=(200, 404)
    ) as answer:
        if answer.status == 404:
            return None
        announced = answer.headers.get("Docker-Content-Digest")
        try:
            is_other = announced is not None and Digest.parse(announced) != digest
        except InvalidDigest:
            is_other = False
        return None if is_other or answer.length is None else answer.length


async def append(session: Session, name: str, digest: Digest, size: int, sink: Sink) -> None:
    """One attempt to bring `sink` from its offset to the `size` bytes of a blob.

    What came before an error stays in the sink. Whether the bytes are the right ones is for the
    sink to say. Raises ConnectionFailed, SizeMismatch (more or fewer bytes than a blob of this
    size has), RegistryError, and whatever the sink raises.
    """
    if sink.offset >= size:
        return
    async with await _get(session, name, digest, offset=sink.offset) as answer:
        skip = 0 if answer.status == 206 else sink.offset
        _check_length(answer, size if answer.status == 200 else size - sink.offset)
        async for chunk in answer.chunks():
            data = chunk
            if skip:
                # It does not know ranges: what is here already is received once more.
                data, skip = chunk[skip:], max(0, skip - len(chunk))
            if sink.offset + len(data) > size:
                raise SizeMismatch(size, sink.offset + len(data))
            if data:
                await sink.write(data)
        if sink.offset < size:
            raise ConnectionFailed("GET", answer.url, "unexpected EOF", Trouble.BROKEN)


async def _get(session: Session, name: str, digest: Digest, *, offset: int) -> Answer:
    path, scopes = _path(name, digest), [scope(name, "pull")]
    if offset:
        answer = await session.request(
            "GET",
            path,
            scopes=scopes,
            expected=(200, 206, 416),
            headers={"Range": f"bytes={offset}-"},
            retry=False,
        )
        if answer.status == 200 or _begins_at(answer, offset):
            return answer
        answer.release()
    answer = await session.request("GET", path, scopes=scopes, expected=(200, 206), retry=False)
    if answer.status == 206:
        async with answer:
            raise await refusal(answer, session.tools.clock)
    return answer


def _begins_at(answer: Answer, offset: int) -> bool:
    given = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return answer.status == 206 and given is not None and int(given[1]) == offset


def _check_length(answer: Answer, expected: int) -> None:
    if answer.length is not None and answer.length != expected:
        raise SizeMismatch(expected, answer.length)


def _path(name: str, digest: Digest) -> str:
    return f"/{name}/blobs/{digest}"
