"""Uploads of blobs to one repository at one endpoint (OCI distribution-spec, "Pushing Blobs").

An upload is begun by POST, which may mount the blob from another repository instead. Its bytes go
in one PUT with the digest, which is the fewest round trips; where that broke off, the registry is
asked how far it came and the rest goes by PATCH. A registry which refuses large requests (413) gets
pieces.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from yarl import URL

from lamina.errors import LaminaError
from lamina.oci.digest import Digest
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.failure import RegistryError
from lamina.registry.redirect import BadLocationError, target
from lamina.registry.session import ERROR_LIMIT, Session, Waiting
from lamina.registry.token import scope
from lamina.registry.transport import Answer, Body

PIECE = 32 << 20
"""Bytes of one request to a registry that refused a larger one."""

PROGRESS = 1 << 20
"""Bytes which an attempt must have gained for the attempts before it not to count."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})")


class Source(Protocol):
    """Bytes to upload, readable again from any offset; `content.BlobReader` is one."""

    @property
    def digest(self) -> Digest:
        """What the bytes are."""
        ...

    @property
    def size(self) -> int:
        """How many bytes."""
        ...

    def chunks(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `offset`, `length` of them or all."""
        ...


class Progress(Protocol):
    """Hears how many bytes of a blob are on their way; fewer than before after a failure."""

    def __call__(self, sent: int, /) -> None:
        """So many are."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in progress: where its next request goes, and how many bytes the registry has."""

    location: URL
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A blob is there. `mounted_from` is the repository that it came from, None if it was sent."""

    mounted_from: str | None = None


class Uploader:
    """Uploads to repository `name`."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._scopes = [scope(name, "pull", "push")]

    async def begin(self) -> Upload:
        """Begin an upload. Raises as `Session.request` does."""
        async with await self._session.request(
            "POST", f"/{self._name}/blobs/uploads/", scopes=self._scopes, expected=(202,)
        ) as answer:
            return Upload(self._location(answer))

    async def mount(self, digest: Digest, other: str) -> Upload | None:
        """Take the blob from repository `other`; an upload to go on with where that is not done.

        None if it was mounted. Raises as `Session.request` does.
        """
        path = f"/{self._name}/blobs/uploads/?mount={quote(str(digest))}&from={quote(other)}"
        scopes = [*self._scopes, scope(other, "pull")]
        async with await self._session.request(
            "POST", path, scopes=scopes, expected=(201, 202)
        ) as answer:
            return None if answer.status == 201 else Upload(self._location(answer))

    async def append(self, upload: Upload, body: Body) -> Upload:
        """Send bytes, which must go on at the upload's offset. Raises as `Session.request` does.

        The length of `body` may be unknown; then so is the new offset, which stays what it was.
        """
        headers = {}
        if body.length is not None:
            headers["Content-Range"] = f"{upload.offset}-{upload.offset + body.length - 1}"
        async with await self._session.request(
            "PATCH",
            upload.location,
            scopes=self._scopes,
            expected=(202, 204, 201),
            headers=headers,
            body=body,
            retry=False,
        ) as answer:
            return Upload(self._location(answer), upload.offset + (body.length or 0))

    async def finish(self, upload: Upload, digest: Digest, body: Body | None = None) -> None:
        """Send the last bytes, if any, and make the upload a blob, which the registry verifies.

        Raises RegistryError (DIGEST_INVALID among others) and as `Session.request` does.
        """
        async with await self._session.request(
            "PUT",
            _with_digest(upload.location, digest),
            scopes=self._scopes,
            expected=(201, 204),
            body=body or _NOTHING,
            retry=False,
            slow=True,
        ) as answer:
            await answer.read(ERROR_LIMIT)

    async def status(self, upload: Upload) -> Upload | None:
        """How far an upload came, None where the registry cannot say."""
        try:
            async with await self._session.request(
                "GET", upload.location, scopes=self._scopes, expected=(204, 200)
            ) as answer:
                given = _RANGE.fullmatch(answer.headers.get("Range", ""))
                # ``0-0`` is what both nothing and one byte look like.
                if given is None or given[1] == "0":
                    return None
                return Upload(self._location(answer), int(given[1]) + 1)
        except LaminaError as error:
            self._session.tools.logger.debug("no status of the upload: %s", error)
            return None

    async def cancel(self, upload: Upload) -> None:
        """Tell the registry to forget an upload; it does so by itself after some days."""
        try:
            answer = await self._session.request(
                "DELETE",
                upload.location,
                scopes=self._scopes,
                expected=(200, 202, 204, 404),
                retry=False,
            )
            answer.release()
        except LaminaError as error:
            self._session.tools.logger.debug("upload not cancelled: %s", error)

    async def upload(
        self,
        source: Source,
        *,
        upload: Upload | None = None,
        progress: Progress = lambda _: None,
        waiting: Waiting | None = None,
    ) -> None:
        """Bring a whole blob there, however often the connection breaks.

        `upload` is one that was begun already. `waiting` waits before another attempt, in place of
        the clock. Raises what the last attempt raised.
        """
        piece: int | None = None
        attempt = best = 0
        while True:
            attempt += 1
            try:
                upload = upload or await self.begin()
                await self._send(upload, source, piece=piece, progress=progress)
                return
            except (ConnectionFailed, RegistryError) as error:
                if isinstance(error, RegistryError) and error.status == 413 and piece is None:
                    piece, upload = PIECE, None
                    continue
                # A registry that forgot the upload, or disagrees on its offset, gets a new one.
                is_lost = isinstance(error, RegistryError) and error.status in {404, 416}
                delay = self._session.delay_after(error, attempt)
                if delay is None and is_lost and attempt < self._session.tools.policy.attempts:
                    delay = 0.0
                if delay is None:
                    raise
                self._session.tools.logger.info("%s; trying again in %.1f s", error, delay)
            await (waiting or self._session.tools.clock.sleep)(delay)
            if upload is not None:
                upload = None if is_lost else await self.status(upload)
            reached = upload.offset if upload else 0
            progress(reached)
            if reached >= best + PROGRESS:
                # It does go on, if slowly.
                attempt, best = 0, reached

    async def _send(
        self, upload: Upload, source: Source, *, piece: int | None, progress: Progress
    ) -> None:
        if upload.offset > source.size:
            raise RegistryError("the upload has more bytes than the blob", status=416)
        if upload.offset == 0 and piece is None:
            await self.finish(upload, source.digest, _body(source, 0, source.size, progress))
            return
        while upload.offset < source.size:
            length = min(piece or source.size, source.size - upload.offset)
            body = _body(source, upload.offset, length, progress)
            upload = await self.append(upload, body)
        await self.finish(upload, source.digest)

    def _location(self, answer: Answer) -> URL:
        # Without the header the upload goes on where it is.
        text = answer.headers.get("Location", "")
        try:
            return target(answer.url, text, plain_allowed=self._session.endpoint.plain_allowed)
        except BadLocationError as error:
            raise ConnectionFailed("POST", answer.url, str(error), Trouble.REDIRECT) from error


def _with_digest(location: URL, digest: Digest) -> URL:
    # The query holds the registry's state, which must come back byte for byte.
    text = str(location)
    return URL(
        f"{text}{'&' if location.raw_query_string else '?'}digest={quote(str(digest))}",
        encoded=True,
    )


def _body(source: Source, offset: int, length: int, progress: Progress) -> Body:
    async def chunks() -> AsyncIterator[bytes]:
        sent = offset
        async for chunk in source.chunks(offset, length):
            yield chunk
            sent += len(chunk)
            progress(sent)

    return Body(chunks, length)


async def _no_chunks() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


_NOTHING = Body(_no_chunks, 0)
