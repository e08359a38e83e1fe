"""Manifests and indexes of one repository at one endpoint, verified by digest."""

from dataclasses import dataclass

import msgspec

from lamina.errors import DigestMismatch, InvalidDigest, InvalidManifest
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.registry.session import Session
from lamina.registry.token import scope
from lamina.registry.transport import Answer, bytes_body

SIZE_LIMIT = 4 << 20
"""Bytes of a manifest at most, as registries themselves limit them."""

_ACCEPTED = (
    mediatype.DOCKER_MANIFEST,
    mediatype.DOCKER_INDEX,
    mediatype.OCI_MANIFEST,
    mediatype.OCI_INDEX,
    # The rest is refused by name when it is parsed, which tells more than a 404.
    "*/*;q=0.5",
)
_ACCEPT = {"Accept": ", ".join(_ACCEPTED)}
_VAGUE = frozenset({"", "application/json", "application/octet-stream", "text/plain"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a tag means: digest, media type (empty if not told) and size in bytes."""

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest or index as the registry sent it; its bytes have `digest`."""

    raw: bytes
    media_type: str
    digest: Digest


class _Kind(msgspec.Struct):
    media_type: str = msgspec.field(name="mediaType", default="")


async def resolve(session: Session, name: str, reference: str | Digest) -> Resolved | None:
    """What a tag or digest of repository `name` means, by HEAD; None where only GET can tell.

    It counts for no rate limit where GET does. Raises as `Session.request` does.
    """
    # What HEAD answers has no body, so that only GET can say why it was refused.
    async with await session.request(
        "HEAD",
        _path(name, reference),
        scopes=[scope(name, "pull")],
        expected=(200, 400, 403, 404, 405, 500, 501),
        headers=_ACCEPT,
    ) as answer:
        digest = _announced(answer)
        if answer.status != 200 or digest is None or answer.length is None:
            return None
        if isinstance(reference, Digest) and digest != reference:
            raise DigestMismatch(reference, digest)
        return Resolved(digest, _media_type(answer), answer.length)


async def fetch(session: Session, name: str, reference: str | Digest) -> Fetched:
    """The manifest or index behind a tag or digest.

    Raises DigestMismatch, InvalidManifest (too large), and as `Session.request` does.
    """
    async with await session.request(
        "GET", _path(name, reference), scopes=[scope(name, "pull")], headers=_ACCEPT
    ) as answer:
        raw = await answer.read(SIZE_LIMIT)
        if len(raw) > SIZE_LIMIT:
            raise InvalidManifest(f"manifest is larger than {SIZE_LIMIT} bytes")
        expected = reference if isinstance(reference, Digest) else _announced(answer)
        digest = _digest_of(raw, expected)
        if expected is not None and digest != expected:
            raise DigestMismatch(expected, digest)
        return Fetched(raw, _media_type(answer) or _embedded_type(raw), digest)


async def put(
    session: Session, name: str, raw: bytes, media_type: str, *, tag: str | None = None
) -> Digest:
    """Upload a manifest or index under `tag`, or under its digest alone; its digest.

    Raises DigestMismatch (the registry understood something else), as `Session.request` does.
    """
    digest = Digest.of(raw)
    async with await session.request(
        "PUT",
        _path(name, tag or digest),
        scopes=[scope(name, "pull", "push")],
        expected=(200, 201, 202),
        body=bytes_body(raw, media_type),
    ) as answer:
        await answer.read(SIZE_LIMIT)
        stored = _announced(answer)
        if stored is not None and stored.algorithm == digest.algorithm and stored != digest:
            raise DigestMismatch(digest, stored)
    return digest


def _path(name: str, reference: str | Digest) -> str:
    return f"/{name}/manifests/{reference}"


def _announced(answer: Answer) -> Digest | None:
    text = answer.headers.get("Docker-Content-Digest")
    try:
        return Digest.parse(text) if text else None
    except InvalidDigest:
        return None


def _digest_of(raw: bytes, like: Digest | None) -> Digest:
    if like is None:
        return Digest.of(raw)
    hasher = like.hasher()
    hasher.update(raw)
    return Digest.from_hasher(hasher)


def _media_type(answer: Answer) -> str:
    """The type in the header; empty where that says nothing about manifests."""
    text = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return "" if text in _VAGUE else text


def _embedded_type(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Kind).media_type
    except (ValueError, RecursionError):
        return ""
