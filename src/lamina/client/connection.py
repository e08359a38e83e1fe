"""Requests to one engine: versioned paths, errors as exceptions, bodies that stream both ways."""

import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

from lamina.api.errors import error_of
from lamina.api.versions import NEWEST, ApiVersion
from lamina.client import replies
from lamina.client.address import Address
from lamina.errors import (
    EngineError,
    InvalidParameter,
    InvalidReference,
    LaminaError,
    NotImplementedHere,
    Unavailable,
)
from lamina.models import SystemPing
from lamina.streams import CHUNK_SIZE, ByteSource, chunks_of

MAX_REPLY = 256 << 20
"""Bytes of JSON that an answer may have: some 500,000 images."""

_MAX_ERROR = 1 << 20
_CONNECT_SECONDS = 30
_OLDEST = ApiVersion(1, 24)
"""Also that of engines which do not say: older ones have other errors and other shapes."""

_GRAMMAR = re.compile(r"(\d{1,4})\.(\d{1,4})")

Parameters = Mapping[str, str | Sequence[str]]
"""A query: several values are sent as the name repeated."""


class Connection:
    """Connections to one engine, kept alive between requests and closed by `close`."""

    def __init__(self, address: Address, *, tls: ssl.SSLContext | None, user_agent: str) -> None:
        connector: aiohttp.BaseConnector
        # No limit: a stream of events keeps its connection for ever.
        if address.socket is not None:
            connector = aiohttp.UnixConnector(str(address.socket), limit=0)
        else:
            connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True, limit=0)
        self.address = address
        self.version = _OLDEST
        self._session = aiohttp.ClientSession(
            connector=connector,
            # An image takes as long as it takes; only dialling has a limit.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=CHUNK_SIZE,
        )

    async def close(self) -> None:
        """Close every connection, used or idle."""
        await self._session.close()

    async def ping(self) -> SystemPing:
        """Ask what the engine speaks. Raises Unavailable."""
        async with self._request("GET", "/_ping") as response:
            # Read even from a failure: an engine without its swarm answers 500, and means it.
            headers = response.headers
            if "Api-Version" not in headers and response.status >= 300:
                raise await _error(response)
            return SystemPing(
                api_version=headers.get("Api-Version", ""),
                os_type=headers.get("Ostype", ""),
                experimental=headers.get("Docker-Experimental") == "true",
                builder_version=headers.get("Builder-Version", ""),
            )

    async def negotiate(self) -> None:
        """Speak the newest version that both sides know. Raises NotImplementedHere, Unavailable."""
        announced = parse_version((await self.ping()).api_version or str(_OLDEST))
        if announced < _OLDEST:
            raise NotImplementedHere(
                f"API version {announced} is not supported by this client:"
                f" the minimum supported API version is {_OLDEST}"
            )
        self.version = min(announced, NEWEST)

    def require(self, minimum: ApiVersion, what: str) -> None:
        """Raise NotImplementedHere, in docker's words, if the engine is too old for `what`."""
        if self.version < minimum:
            raise NotImplementedHere(
                f'"{what}" requires API version {minimum},'
                f" but the Docker daemon API version is {self.version}"
            )

    async def fetch(
        self,
        method: str,
        path: str,
        params: Parameters | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        json: bytes | None = None,
    ) -> bytes:
        """The whole body of a small answer; `json` is sent. Raises what the engine reports."""
        async with self.open(method, path, params, headers=headers, json=json) as response:
            try:
                return await _read_all(response, MAX_REPLY)
            except (aiohttp.ClientError, OSError) as error:
                raise self._lost(error) from error

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        params: Parameters | None = None,
        *,
        body: ByteSource | None = None,
        headers: Mapping[str, str] | None = None,
        json: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer whose body is still to be read; leaving early hangs up.

        The body is streamed while the answer may already come in; an error of the source is raised
        as it is. Raises what the engine reports.
        """
        upload = None if body is None else _Upload(body)
        sent: aiohttp.Payload | None = upload
        if json is not None:
            sent = aiohttp.BytesPayload(json, content_type="application/json")
        target = f"/v{self.version}{path}"
        try:
            async with self._request(method, target, params, sent, headers) as response:
                if response.status >= 300:
                    raise await _error(response)
                yield response
        except LaminaError:
            # The engine may well have stopped because the source did.
            if upload is not None and upload.failure is not None:
                raise upload.failure from None
            raise

    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """Chunks of a stream of messages. Raises Unavailable when it breaks off."""
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error

    @contextlib.asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        params: Parameters | None = None,
        body: aiohttp.Payload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = yarl.URL(f"{self.address.url}{path}{_query(params)}", encoded=True)
        try:
            response = await self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                # A dockerd reads no body of a type that it does not know, not even an empty one.
                skip_auto_headers=("Content-Type",) if body is None else (),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(self.address, error) from error
        except UnicodeError as error:
            # DNS has no form for such a name.
            raise Unavailable(
                f"error during connect: {self.address.text}: dial tcp: no such host"
            ) from error
        try:
            yield response
        finally:
            # A body that was read to its end has given its connection back already.
            response.close()

    def _lost(self, error: Exception) -> Unavailable:
        return Unavailable(f"the connection to {self.address.text} broke off: {error}")


class _Upload(aiohttp.AsyncIterablePayload):
    """A request's body; remembers why it ended early, and hangs up at once if it does."""

    def __init__(self, source: ByteSource) -> None:
        self.failure: Exception | None = None
        super().__init__(self._chunks(source), content_type="application/x-tar")

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Send the body; the engine gets no end of it where there is none."""
        try:
            await super().write_with_length(writer, content_length)
        except OSError:
            # The engine has hung up, and may have said why.
            raise
        except BaseException:
            # A mere close would first wait until the engine has taken what was sent already.
            if isinstance(writer, StreamWriter) and writer.transport is not None:
                writer.transport.abort()
            raise

    async def _chunks(self, source: ByteSource) -> AsyncIterator[bytes]:
        try:
            async with contextlib.aclosing(chunks_of(source)) as chunks:
                async for chunk in chunks:
                    # An empty chunk would end a chunked body.
                    if chunk:
                        yield chunk
        except Exception as error:
            self.failure = error
            raise


def parse_version(text: str) -> ApiVersion:
    """``1.41`` as a version. Raises InvalidParameter."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid API version: {text[:20]}")
    return ApiVersion(int(match[1]), int(match[2]))


def image_path(name: str, rest: str) -> str:
    """``/images/NAME`` and `rest`; slashes, colons and @ stand in the name as they are.

    Raises InvalidReference for a name that would make another path of it.
    """
    return f"/images/{_quoted(name)}{rest}"


def distribution_path(name: str) -> str:
    """``/distribution/NAME/json``. Raises InvalidReference, as `image_path` does."""
    return f"/distribution/{_quoted(name)}/json"


def _quoted(name: str) -> str:
    if not name.strip() or any(part in {"", ".", ".."} for part in name.split("/")):
        raise InvalidReference(text=name)
    return quote(name, safe="/:@")


def _query(params: Parameters | None) -> str:
    pairs = [
        (name, text)
        for name, value in (params or {}).items()
        for text in ([value] if isinstance(value, str) else value)
    ]
    return (
        "?" + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
        if pairs
        else ""
    )


async def _read_all(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if (response.content_length or 0) > limit:
        raise EngineError(f"the engine's answer is larger than {limit} bytes")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise EngineError(f"the engine's answer is larger than {limit} bytes")
    return bytes(body)


async def _error(response: aiohttp.ClientResponse) -> LaminaError:
    try:
        body = await response.content.read(_MAX_ERROR)
        while not response.content.at_eof() and len(body) < _MAX_ERROR:
            body += await response.content.read(_MAX_ERROR - len(body))
    except (aiohttp.ClientError, OSError):
        # The status alone says enough.
        body = b""
    return error_of(response.status, replies.error_message(body, str(response.reason or "")))


def _unreachable(address: Address, error: Exception) -> Unavailable:
    """Why there was no answer, in the docker client's words."""
    cause: BaseException | Any = getattr(error, "os_error", None) or error
    if isinstance(cause, PermissionError):
        return Unavailable(
            "permission denied while trying to connect to the Docker daemon socket at"
            f" {address.text}: {cause.strerror}"
        )
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return Unavailable(
            f"Cannot connect to the Docker daemon at {address.text}. Is the docker daemon running?"
        )
    return Unavailable(f"error during connect: {address.text}: {error}")
