"""One repository, whatever endpoints it is reached by: mirrors, TLS or plain HTTP.

Each operation asks the endpoints in their order. From a mirror any trouble leads to the next
endpoint; from a registry's TLS endpoint only the failure to speak TLS at all leads to its plain
one, which is offered for insecure registries only.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from lamina.errors import LaminaError, SizeMismatch
from lamina.oci.digest import Digest
from lamina.registry import downloads, manifests, pages
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.downloads import Sink
from lamina.registry.failure import RegistryError, RegistryNotFound
from lamina.registry.hosts import Capability
from lamina.registry.manifests import Fetched, Resolved
from lamina.registry.session import Session, Waiting
from lamina.registry.uploads import PROGRESS, Progress, Source, Upload, Uploaded, Uploader

T = TypeVar("T")

_UNREACHED = frozenset({Trouble.DIAL, Trouble.PLAIN, Trouble.TIMEOUT, Trouble.BROKEN})


class Repository:
    """A repository of a registry; `name` is its path without the registry (``library/busybox``).

    Every method raises ConnectionFailed, RegistryError (with its kinds RegistryNotFound,
    RegistryDenied, RegistryUnauthorized, TooManyRequests), BasicCredentialsMissing and TokenError.
    """

    def __init__(self, name: str, sessions: Sequence[Session]) -> None:
        self.name = name
        self._sessions = tuple(sessions)

    async def resolve(self, reference: str | Digest) -> Resolved:
        """What a tag or digest means, without fetching it where the registry allows that."""

        async def once(session: Session) -> Resolved:
            found = await manifests.resolve(session, self.name, reference)
            if found is not None:
                return found
            fetched = await manifests.fetch(session, self.name, reference)
            return Resolved(fetched.digest, fetched.media_type, len(fetched.raw))

        return await self._ask("resolve", once)

    async def pushed(self, tag: str) -> Digest | None:
        """What a tag leads to where pushes go, None if to nothing or if that is not said."""

        async def once(session: Session) -> Digest | None:
            found = await manifests.resolve(session, self.name, tag)
            return None if found is None else found.digest

        return await self._ask("push", once)

    async def fetch(self, reference: str | Digest) -> Fetched:
        """The manifest or index behind a tag or digest, verified.

        Raises also DigestMismatch, InvalidManifest (too large).
        """
        return await self._ask(
            "pull", lambda session: manifests.fetch(session, self.name, reference)
        )

    async def put(self, raw: bytes, media_type: str, *, tag: str | None = None) -> Digest:
        """Upload a manifest or index under `tag`, or under its digest alone."""
        return await self._ask(
            "push", lambda session: manifests.put(session, self.name, raw, media_type, tag=tag)
        )

    async def tags(self) -> list[str]:
        """Every tag. Raises also CorruptData."""
        return await self._ask("resolve", lambda session: pages.tags(session, self.name))

    async def stat(self, digest: Digest) -> int | None:
        """The size in bytes of a blob that a push would find, None if it has to be sent."""
        return await self._ask("push", lambda session: downloads.stat(session, self.name, digest))

    async def download(
        self,
        digest: Digest,
        size: int,
        sink: Sink,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """Bring `sink` from its offset to the `size` bytes of a blob, however often it breaks off.

        After each failure the next endpoint goes on where the last one stopped. The sink verifies
        the digest, at its end. `waiting` waits before another round, in place of the clock. Raises
        also SizeMismatch and whatever the sink raises.
        """
        sessions = self._able("pull")
        attempt, best = 0, sink.offset
        while True:
            attempt += 1
            delays: list[float] = []
            for index, session in enumerate(sessions):
                try:
                    await downloads.append(session, self.name, digest, size, sink)
                    return
                except (ConnectionFailed, RegistryError, SizeMismatch) as error:
                    session.tools.logger.info("blob %s: %s", digest.short, error)
                    delay = _delay(session, error, attempt)
                    if delay is not None:
                        delays.append(delay)
                    is_last = index + 1 == len(sessions)
                    if not is_last and _leads_on(session, error):
                        continue
                    if not delays:
                        raise
                    break
            await (waiting or sessions[0].tools.clock.sleep)(min(delays))
            if sink.offset >= best + PROGRESS:
                # It does go on, if slowly.
                attempt, best = 0, sink.offset

    async def upload(
        self,
        source: Source,
        *,
        mount_from: Sequence[str] = (),
        progress: Progress = lambda _: None,
        waiting: Waiting | None = None,
    ) -> Uploaded:
        """Bring a blob into the repository, by mounting it from one of `mount_from` if that works.

        Those are other repositories of the same registry. Whether the blob is there already is for
        `stat` to say. Raises also what reading `source` raises.
        """

        async def once(session: Session) -> Uploaded:
            uploader = Uploader(session, self.name)
            begun: Upload | None = None
            for other in mount_from:
                if begun is not None:
                    await uploader.cancel(begun)
                    begun = None
                try:
                    begun = await uploader.mount(source.digest, other)
                except RegistryError as error:
                    # No right to read the other one, for example: send it, then.
                    session.tools.logger.debug("no mount from %s: %s", other, error)
                    continue
                if begun is None:
                    return Uploaded(mounted_from=other)
            await uploader.upload(source, upload=begun, progress=progress, waiting=waiting)
            return Uploaded()

        return await self._ask("push", once)

    async def uploader(self) -> Uploader:
        """For bytes whose digest or length is known at their end only; nothing is repeated."""

        async def once(session: Session) -> Uploader:
            await session.meet()
            return Uploader(session, self.name)

        return await self._ask("push", once)

    def _able(self, capability: Capability) -> list[Session]:
        able = [
            session for session in self._sessions if capability in session.endpoint.capabilities
        ]
        if not able:
            raise RegistryNotFound(f"no host of {self.name} can {capability}", status=404)
        # A host that has answered over plain HTTP is not tried over TLS with every request.
        answered = {_twin_key(session) for session in able if session.is_met}
        return [session for session in able if session.is_met or _twin_key(session) not in answered]

    async def _ask(self, capability: Capability, operation: Callable[[Session], Awaitable[T]]) -> T:
        sessions = self._able(capability)
        for session in sessions[:-1]:
            try:
                return await operation(session)
            except LaminaError as error:
                if not _leads_on(session, error):
                    raise
                session.tools.logger.info(
                    "%s: %s; asking the next host", session.endpoint.host, error
                )
        return await operation(sessions[-1])


def _twin_key(session: Session) -> tuple[str, bool]:
    """What the sessions of one host over TLS and over plain HTTP have in common."""
    return session.endpoint.host, session.endpoint.is_mirror


def _leads_on(session: Session, error: LaminaError) -> bool:
    """Whether an endpoint's error makes the next one worth asking."""
    if session.endpoint.is_mirror:
        return True
    return (
        isinstance(error, ConnectionFailed) and error.trouble in _UNREACHED and not session.is_met
    )


def _delay(
    session: Session, error: ConnectionFailed | RegistryError | SizeMismatch, attempt: int
) -> float | None:
    if isinstance(error, SizeMismatch):
        # What lies about a length once may have been cut by a proxy.
        return session.tools.policy.delay(attempt) if attempt == 1 else None
    return session.delay_after(error, attempt)
