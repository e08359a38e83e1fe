"""Searches for images: Docker Hub's index, a registry's own index, or its catalogue.

The index protocol is the first registry's (``GET /v1/search?q=&n=``), which Docker Hub still
serves. Private registries mostly do not; of them the names in ``/v2/_catalog`` are searched.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from yarl import URL

from lamina.errors import CorruptData, InvalidParameter, LaminaError
from lamina.registry import pages
from lamina.registry.client import RegistryClient
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryError
from lamina.registry.hosts import DOCKER_HUB, Tls
from lamina.registry.session import Session
from lamina.registry.transport import Request, Transport

DEFAULT_LIMIT = 25
MOST = 100
_ANSWER_LIMIT = 16 << 20


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One repository that was found, with the Engine API's JSON names."""

    star_count: int = 0
    is_official: bool = False
    name: str = ""
    is_automated: bool = False
    description: str = ""


class _Item(msgspec.Struct):
    name: str | None = ""
    description: str | None = ""
    star_count: int | None = 0
    is_official: bool | None = False
    is_automated: bool | None = False
    is_trusted: bool | None = False


class _Results(msgspec.Struct):
    results: list[_Item] | None = None


_RESULTS = msgspec.json.Decoder(_Results)


class SearchFailed(LaminaError):
    """A registry can be searched in none of the ways; `status` is what its index answered."""

    def __init__(self, status: int) -> None:
        super().__init__(f"unexpected status code {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Term:
    """What is looked for, and in which registry."""

    registry: str
    text: str


def parse_term(text: str) -> Term:
    """Split a search term: what looks like a host before the first slash is the registry.

    Raises InvalidParameter.
    """
    if "://" in text:
        raise InvalidParameter(
            f"invalid repository name: repository name ({text}) should not have a scheme"
        )
    first, slash, rest = text.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    if not is_host or first in {DOCKER_HUB, f"index.{DOCKER_HUB}"}:
        # Official images are found by their short name only.
        return Term(DOCKER_HUB, (rest if is_host else text).removeprefix("library/"))
    return Term(first, rest)


async def search(
    client: RegistryClient,
    text: str,
    *,
    limit: int = DEFAULT_LIMIT,
    credentials: AuthConfig | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[Found]:
    """At most `limit` repositories for a term, in the index's order.

    Names out of a catalogue begin with the registry, so that they can be pulled as they stand.
    `headers` (a caller's ``X-Meta-…``) go with every request.
    Raises InvalidParameter (term, limit), SearchFailed, CorruptData, ConnectionFailed,
    RegistryError.
    """
    if not 1 <= limit <= MOST:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, {MOST}]")
    term = parse_term(text)
    if term.registry == DOCKER_HUB:
        who = await client.credentials_for(DOCKER_HUB, credentials)
        index = URL(client.config.index)
        url = _query(index, term, limit)
        found = await _ask_index(client.tools.transport, url, Tls(), who, headers or {})
        return found[:limit]
    sessions = await client.sessions(
        term.registry, credentials=credentials, headers=headers, mirrors=False
    )
    for session in sessions[:-1]:
        try:
            return await _search_registry(session, term, limit)
        except ConnectionFailed as error:
            if session.is_met:
                raise
            session.tools.logger.info("%s; asking the next host", error)
    return await _search_registry(sessions[-1], term, limit)


async def _search_registry(session: Session, term: Term, limit: int) -> list[Found]:
    await session.meet()
    url = _query(session.endpoint.origin, term, limit)
    try:
        found = await _ask_index(
            session.tools.transport,
            url,
            session.endpoint.tls,
            session.credentials,
            session.headers,
        )
        return found[:limit]
    except (SearchFailed, CorruptData) as error:
        try:
            return await _search_catalogue(session, term, limit)
        except RegistryError as refused:
            if refused.status in {404, 405, 501}:
                raise error from refused
            raise


def _query(origin: URL, term: Term, limit: int) -> URL:
    return origin.joinpath("v1/search").with_query(q=term.text, n=str(limit))


async def _ask_index(
    transport: Transport, url: URL, tls: Tls, who: AuthConfig, headers: Mapping[str, str]
) -> list[Found]:
    private: tuple[tuple[str, str], ...] = ()
    if who.username and who.password:
        pair = base64.b64encode(f"{who.username}:{who.password}".encode()).decode()
        private = (("Authorization", f"Basic {pair}"),)
    answer = await transport.send(
        Request(
            method="GET",
            url=url,
            tls=tls,
            plain_allowed=url.scheme == "http",
            headers={**headers, "X-Docker-Token": "true"},
            private=private,
        )
    )
    async with answer:
        if answer.status != 200:
            raise SearchFailed(answer.status)
        raw = await answer.read(_ANSWER_LIMIT)
    if len(raw) > _ANSWER_LIMIT:
        raise CorruptData(f"search results are larger than {_ANSWER_LIMIT} bytes")
    try:
        items = _RESULTS.decode(raw).results or []
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"error decoding search results: {error}") from error
    return [
        Found(
            name=item.name or "",
            description=item.description or "",
            star_count=item.star_count or 0,
            is_official=bool(item.is_official),
            is_automated=bool(item.is_automated or item.is_trusted),
        )
        for item in items
    ]


async def _search_catalogue(session: Session, term: Term, limit: int) -> list[Found]:
    found: list[Found] = []
    wanted = term.text.lower()
    async for name in pages.repositories(session):
        if wanted in name:
            found.append(Found(name=f"{term.registry}/{name}"))
            if len(found) == limit:
                break
    return found
