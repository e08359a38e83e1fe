"""Lists that come in pages: the tags of a repository, the repositories of a registry.

A page names the next one in a ``Link`` header (RFC 8288, ``rel="next"``). Registries have been seen
to name the same page again, so pages are counted and none is asked for twice.
"""

import re
from collections.abc import AsyncIterator

import msgspec

from lamina.errors import CorruptData
from lamina.registry.redirect import BadLocationError, same_origin, target
from lamina.registry.session import Session
from lamina.registry.token import CATALOG_SCOPE, scope
from lamina.registry.transport import Answer

_PAGE_LIMIT = 16 << 20
_MOST_PAGES = 1000
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r""";\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next)""", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class _Page(msgspec.Struct):
    tags: list[str] | None = None
    repositories: list[str] | None = None


_PAGE = msgspec.json.Decoder(_Page)


async def tags(session: Session, name: str) -> list[str]:
    """Every tag of a repository, in the registry's order, each once.

    Raises CorruptData (pages without end, or not JSON), as `Session.request` does.
    """
    found: dict[str, None] = {}
    async for page in _pages(session, f"/{name}/tags/list", scope(name, "pull")):
        # What is no tag could not be asked for.
        found.update((tag, None) for tag in page.tags or () if _TAG.fullmatch(tag))
    return list(found)


async def repositories(session: Session, *, page_size: int = 1000) -> AsyncIterator[str]:
    """The names of a registry's repositories as the pages come; raises as `tags` does."""
    async for page in _pages(session, f"/_catalog?n={page_size}", CATALOG_SCOPE):
        for name in page.repositories or ():
            yield name


def next_page(answer_links: list[str]) -> str | None:
    """The target of the first link to a next page in ``Link`` headers, None if there is none."""
    for header in answer_links:
        for link, parameters in _LINK.findall(header):
            if _NEXT.search(parameters):
                return str(link)
    return None


async def _pages(session: Session, path: str, needed: str) -> AsyncIterator[_Page]:
    url = session.endpoint.url(path)
    asked = set()
    while url not in asked:
        asked.add(url)
        if len(asked) > _MOST_PAGES:
            raise CorruptData(f"{session.endpoint.host} lists more than {_MOST_PAGES} pages")
        async with await session.request("GET", url, scopes=[needed]) as answer:
            yield await _read(answer)
            link = next_page(answer.headers.getall("Link", []))
        if link is None:
            return
        try:
            url = target(url, link, plain_allowed=session.endpoint.plain_allowed)
        except BadLocationError as error:
            raise CorruptData(f"invalid link to the next page: {error}") from error
        if not same_origin(url, session.endpoint.origin):
            raise CorruptData(f"the next page lies on another host: {url.host}")
    raise CorruptData(f"{session.endpoint.host} lists the same page again and again")


async def _read(answer: Answer) -> _Page:
    raw = await answer.read(_PAGE_LIMIT)
    if len(raw) > _PAGE_LIMIT:
        raise CorruptData(f"a page is larger than {_PAGE_LIMIT} bytes")
    try:
        return _PAGE.decode(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"invalid list: {error}") from error
