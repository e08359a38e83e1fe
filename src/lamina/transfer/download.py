"""Files from the web: what an import or a build names by URL."""

import os
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from lamina.errors import Forbidden, InvalidParameter, LaminaError, NotFound, Unauthorized
from lamina.progress import LayerProgress, Report, StatusLine
from lamina.streams import CHUNK_SIZE

_CONNECT_TIMEOUT: Final = 30.0
_STALL_TIMEOUT: Final = 120.0
_MAX_ERROR_BODY: Final = 1024
_REMOTE_ERRORS: Final[dict[int, type[LaminaError]]] = {
    400: InvalidParameter,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
}


async def download(
    url: str,
    report: Report,
    *,
    action: str,
    subject: str = "",
    headers: dict[str, str] | None = None,
    announce: bool = True,
) -> AsyncGenerator[bytes, None]:
    """The body of a URL; `headers` takes the reply's.

    `action` names what is done in progress, `subject` to what, where that is told apart; `announce`
    says where it comes from. Raises NotFound and others as the server says, LaminaError where there
    is none.
    """
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=_STALL_TIMEOUT
    )
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(url) as response,
        ):
            if response.status >= 400:
                raise await _remote_error(response, url)
            if headers is not None:
                headers.update(response.headers)
            if announce:
                await report(StatusLine(f"Downloading from {url}"))
            done = 0
            async for chunk in response.content.iter_chunked(CHUNK_SIZE):
                done += len(chunk)
                await report(LayerProgress(subject, action, done, response.content_length))
                yield chunk
    except aiohttp.NonHttpUrlClientError as error:
        scheme = url.partition(":")[0]
        raise LaminaError(f'Get "{url}": unsupported protocol scheme "{scheme}"') from error
    except aiohttp.InvalidURL as error:
        raise InvalidParameter(f"invalid URL: {url}") from error
    except (aiohttp.ClientConnectorDNSError, UnicodeError) as error:
        # UnicodeError: a name of a form that DNS does not have.
        host = urlsplit(url).hostname
        raise LaminaError(f'Get "{url}": dial tcp: lookup {host}: no such host') from error
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno
        reason = (os.strerror(number) if number else str(error)).lower()
        raise LaminaError(
            f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {reason}'
        ) from error
    except TimeoutError as error:
        raise LaminaError(f'Get "{url}": timeout') from error
    except aiohttp.ClientError as error:
        raise LaminaError(f'Get "{url}": {error}') from error


async def _remote_error(response: aiohttp.ClientResponse, url: str) -> LaminaError:
    body = await response.content.read(_MAX_ERROR_BODY)
    text = body.decode(errors="replace").strip()
    message = f"failed to GET {url} with status {response.status} {response.reason}: {text}"
    return _REMOTE_ERRORS.get(response.status, LaminaError)(message)
