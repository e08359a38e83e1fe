"""Sends one request and gives its answer: the connection pool, redirections, proxies, time limits.

Knows HTTP, not registries. Errors of connections become `ConnectionFailed`; every status is an
answer. Bodies are never decompressed: what is hashed is what was sent.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from lamina.registry.connection_error import ConnectionFailed, Trouble, explain
from lamina.registry.hosts import Tls
from lamina.registry.proxies import Proxies
from lamina.registry.redirect import (
    LONGEST_CHAIN,
    BadLocationError,
    follows,
    public,
    same_origin,
    target,
)
from lamina.registry.tls import TlsContexts

_READ_BUFFER = 1 << 17
_NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, UnicodeError)
"""UnicodeError is that of a host's name which DNS has no form for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits in seconds.

    `connect` for TCP and TLS, `stall` for the time in which not a byte moves, `answer` for a
    server that has everything and thinks (it may verify gigabytes).
    """

    connect: float = 15.0
    stall: float = 60.0
    answer: float = 600.0


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: `open` gives its chunks, anew for each attempt; `length` in bytes if known."""

    open: Callable[[], AsyncIterator[bytes]]
    length: int | None
    media_type: str = "application/octet-stream"


def bytes_body(data: bytes, media_type: str) -> Body:
    """A body that is in memory."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    return Body(chunks, len(data), media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `headers` go wherever it is redirected, `private` ones stay with the origin."""

    method: str
    url: URL
    tls: Tls = field(default_factory=Tls)
    plain_allowed: bool = False
    headers: Mapping[str, str] | CIMultiDict[str] | None = None
    private: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    follow: bool = True
    slow: bool = False
    """Whether the server may take `Timeouts.answer` to answer."""


class Answer:
    """A server's answer, its body unread. `release` it, or use it as an async context manager."""

    def __init__(self, method: str, response: aiohttp.ClientResponse) -> None:
        self._method = method
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def reason(self) -> str:
        """What the server calls that status."""
        return self._response.reason or ""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers."""
        return self._response.headers

    @property
    def url(self) -> URL:
        """Where it came from, after redirections."""
        return self._response.url

    @property
    def length(self) -> int | None:
        """The announced length of the body in bytes."""
        return self._response.content_length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ConnectionFailed."""
        reader = self._response.content
        while chunk := await self._next(reader):
            yield chunk

    async def read(self, limit: int) -> bytes:
        """At most `limit` bytes of the body and, if there is more, one. Raises ConnectionFailed."""
        data = bytearray()
        async for chunk in self.chunks():
            data += chunk
            if len(data) > limit:
                break
        return bytes(data[: limit + 1])

    async def _next(self, reader: aiohttp.StreamReader) -> bytes:
        try:
            return await reader.readany()
        except _NETWORK_ERRORS as error:
            reason, trouble = explain(error, self.url)
            raise ConnectionFailed(self._method, self.url, reason, trouble) from error

    def release(self) -> None:
        """Give the connection back; one whose body was not read to its end is closed."""
        self._response.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Transport:
    """The one connection pool of an engine: an async context manager."""

    def __init__(
        self,
        *,
        user_agent: str,
        proxies: Proxies,
        timeouts: Timeouts,
        logger: logging.Logger,
        connections_per_host: int = 16,
    ) -> None:
        self._user_agent = user_agent
        self.proxies = proxies
        self._timeouts = timeouts
        self._logger = logger
        self._connections_per_host = connections_per_host
        self._contexts = TlsContexts()
        self._contexts_lock = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._connections_per_host),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            # Credentials come from the caller, never from a netrc file or the environment.
            trust_env=False,
            # The digest in a Location must come back as it was sent.
            requote_redirect_url=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Answer:
        """The answer to `request`, redirections followed.

        Raises ConnectionFailed, InvalidParameter (unusable certificates), and whatever reading the
        body raises.
        """
        origin = url = request.url
        for _ in range(LONGEST_CHAIN + 1):
            answer = await self._send_once(request, url, trusted=same_origin(url, origin))
            location = answer.headers.get("Location")
            if not (location and request.follow and follows(request.method, answer.status)):
                return answer
            answer.release()
            try:
                url = target(url, location, plain_allowed=request.plain_allowed)
            except BadLocationError as error:
                raise ConnectionFailed(request.method, url, str(error), Trouble.REDIRECT) from error
            self._logger.debug("redirected to %s", url.origin())
        raise ConnectionFailed(
            request.method,
            request.url,
            f"stopped after {LONGEST_CHAIN} redirects",
            Trouble.REDIRECT,
        )

    async def _send_once(self, request: Request, url: URL, *, trusted: bool) -> Answer:
        assert self._session is not None, "the transport is not open"
        headers = self._headers(request, trusted=trusted)
        sending = _Sending(request.body, self._timeouts) if request.body is not None else None
        slow = request.slow or request.body is not None
        try:
            async with asyncio.timeout(None) as watchdog:
                response = await self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=None if sending is None else sending.chunks(watchdog),
                    allow_redirects=False,
                    ssl=await self._context(request.tls) if url.scheme == "https" else True,
                    proxy=self.proxies.proxy_for(url),
                    timeout=aiohttp.ClientTimeout(
                        total=None,
                        sock_connect=self._timeouts.connect,
                        sock_read=self._timeouts.answer if slow else self._timeouts.stall,
                    ),
                )
        except _NETWORK_ERRORS as error:
            if sending is not None and sending.failure is not None:
                raise sending.failure from None
            reason, trouble = explain(error, url)
            raise ConnectionFailed(request.method, url, reason, trouble) from error
        return Answer(request.method, response)

    def _headers(self, request: Request, *, trusted: bool) -> CIMultiDict[str]:
        headers = CIMultiDict({"User-Agent": self._user_agent, "Accept-Encoding": "identity"})
        given = request.headers or {}
        headers.update(given if trusted else public(given))
        if trusted:
            for name, value in request.private:
                headers.add(name, value)
        if request.body is not None:
            headers.setdefault("Content-Type", request.body.media_type)
            if request.body.length is not None:
                headers["Content-Length"] = str(request.body.length)
        return headers

    async def _context(self, tls: Tls) -> ssl.SSLContext:
        async with self._contexts_lock:
            return await asyncio.to_thread(self._contexts.context, tls)


class _Sending:
    """Watches a body go out: when it stalls, and whether reading it failed."""

    def __init__(self, body: Body, timeouts: Timeouts) -> None:
        self._body = body
        self._timeouts = timeouts
        self.failure: Exception | None = None

    async def chunks(self, watchdog: asyncio.Timeout) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            async for chunk in self._body.open():
                # Asked for the next chunk only when this one is on its way.
                _reschedule(watchdog, loop.time() + self._timeouts.stall)
                yield chunk
                _reschedule(watchdog, None)
        except Exception as error:
            self.failure = error
            raise
        _reschedule(watchdog, loop.time() + self._timeouts.answer)


def _reschedule(watchdog: asyncio.Timeout, when: float | None) -> None:
    # A server may answer before it has everything; then nobody waits any more.
    with contextlib.suppress(RuntimeError):
        watchdog.reschedule(when)
