"""A registry that could not be reached or stopped answering, in the words of Go's HTTP client."""

import errno
import os
import re
import ssl
from enum import Enum
from typing import Final

import aiohttp
from yarl import URL

from lamina.errors import LaminaError

_TRIED: Final = re.compile(r"Connect call failed \('([0-9A-Fa-f:.]+)', (\d+)")


class Trouble(Enum):
    """What went wrong with a connection, as far as it decides what to do next."""

    DIAL = "dial"
    """It was never made: refused, no route, no such host."""
    TLS = "tls"
    """The certificates of one side do not please the other."""
    PLAIN = "plain"
    """TLS was spoken to a server that does not."""
    TIMEOUT = "timeout"
    """Nothing came for too long."""
    BROKEN = "broken"
    """It ended in the middle."""
    REDIRECT = "redirect"
    """It led somewhere where it may not lead."""


class ConnectionFailed(LaminaError):
    """No answer, or not the whole of it: ``Get "https://host/v2/": <reason>``."""

    def __init__(self, method: str, url: URL, reason: str, trouble: Trouble) -> None:
        super().__init__(f'{method.capitalize()} "{shown(url)}": {reason}')
        self.method = method
        self.url = url
        self.reason = reason
        self.trouble = trouble


def shown(url: URL) -> str:
    """A URL for messages: without user, and without a query that may hold a signature."""
    bare = url.with_user(None)
    secret = any(len(value) > 64 for value in bare.query.values())
    return str(bare.with_query(None) if secret else bare)


def explain(error: BaseException, url: URL) -> tuple[str, Trouble]:
    """Reason and kind of an exception of aiohttp, raised by a request to `url`."""
    return _of_dialing(error, url) or _of_talking(error, url)


def _of_dialing(error: BaseException, url: URL) -> tuple[str, Trouble] | None:
    match error:
        case aiohttp.ClientProxyConnectionError():
            proxy = f"{error.host}:{error.port}"
            return f"proxyconnect tcp: {_refused(error.os_error, proxy)}", Trouble.DIAL
        case aiohttp.ClientHttpProxyError():
            return error.message or f"proxy answered {error.status}", Trouble.DIAL
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return f"dial tcp: lookup {url.host}: no such host", Trouble.DIAL
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error), Trouble.TLS
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return _tls(error)
        case aiohttp.ClientConnectorError():
            return _refused(error.os_error, f"{url.host}:{url.port}"), Trouble.DIAL
        case aiohttp.ConnectionTimeoutError():
            return f"dial tcp {url.host}:{url.port}: i/o timeout", Trouble.TIMEOUT
        case _:
            return None


def _of_talking(error: BaseException, url: URL) -> tuple[str, Trouble]:
    match error:
        case TimeoutError():
            return "net/http: timeout awaiting response", Trouble.TIMEOUT
        case aiohttp.ServerDisconnectedError():
            return "EOF", Trouble.BROKEN
        case aiohttp.ClientPayloadError():
            return "unexpected EOF", Trouble.BROKEN
        case aiohttp.ClientResponseError():
            return f"net/http: malformed HTTP response: {error.message}", Trouble.BROKEN
        case OSError():
            return f"read tcp {url.host}:{url.port}: {_system(error)}", Trouble.BROKEN
        case _:
            return str(error) or type(error).__name__, Trouble.BROKEN


def _refused(error: OSError, host: str) -> str:
    """No connection to `host`: which of its addresses was tried first stands in asyncio's text."""
    tried = _TRIED.search(str(error))
    if tried is not None:
        address, port = tried.groups()
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"dial tcp {host}: connect: {_system(error)}"


def _system(error: OSError) -> str:
    if error.errno in errno.errorcode:
        return os.strerror(error.errno or 0).lower()
    return (error.strerror or str(error)).lower()


def _certificate(error: Exception) -> str:
    code = getattr(error, "verify_code", None)
    text = getattr(error, "verify_message", "") or str(error)
    # OpenSSL's numbers: no issuer found locally, self-signed leaf, self-signed in the chain.
    if code in {18, 19, 20, 21}:
        text = "certificate signed by unknown authority"
    elif code == 10:
        text = "certificate has expired or is not yet valid"
    return f"tls: failed to verify certificate: x509: {text}"


def _tls(error: BaseException) -> tuple[str, Trouble]:
    inner = getattr(error, "os_error", error)
    reason = str(getattr(inner, "reason", "") or inner)
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}:
        return "http: server gave HTTP response to HTTPS client", Trouble.PLAIN
    words = reason.lower().replace("_", " ")
    if "alert" in words:
        return f"remote error: tls: {words.rpartition('alert ')[2]}", Trouble.TLS
    return f"tls: {words}", Trouble.TLS
