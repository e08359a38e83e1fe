"""Where an engine listens: what users write after ``-H`` and in DOCKER_HOST."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from lamina.errors import InvalidParameter

_PLAIN_PORT = 2375
_TLS_PORT = 2376
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed host: `text` as it was written, the `url` that requests start with, and how to dial.

    `socket` is a unix socket's path, None for TCP. `url` has no slash at its end.
    """

    text: str
    url: str
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str, *, tls: bool) -> "Address":
        """Read ``unix:///path``, ``tcp://host[:port][/prefix]``, ``http(s)://…`` or ``host:port``.

        With `tls`, ``tcp`` means HTTPS. The port is 2376 with TLS and 2375 without, where none is
        given. Raises InvalidParameter.
        """
        match = _SCHEME.match(text)
        scheme = match[1].lower() if match else "tcp"
        rest = text[match.end() :] if match else text
        if scheme == "unix":
            if not rest or "\0" in rest:
                raise _invalid(text)
            # The name is never resolved; it is what stands in the Host header.
            return cls(text, "http://docker", Path(rest))
        if scheme == "tcp":
            return cls(text, _url(text, rest, secure=tls))
        if scheme in {"http", "https"}:
            if tls and scheme == "http":
                raise InvalidParameter(f"{text} is not a TLS address")
            return cls(text, _url(text, rest, secure=scheme == "https"))
        if scheme in {"ssh", "npipe", "fd"}:
            raise InvalidParameter(
                f"{scheme}:// hosts are not supported: use unix://, tcp:// or https://"
            )
        raise _invalid(text)


def _url(text: str, rest: str, *, secure: bool) -> str:
    try:
        parts: SplitResult = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(text) from error
    if not host or parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", rest):
        raise _invalid(text)
    if ":" in host:
        host = f"[{host}]"
    if port is None:
        port = _TLS_PORT if secure else _PLAIN_PORT
    return f"{'https' if secure else 'http'}://{host}:{port}{parts.path.rstrip('/')}"


def _invalid(text: str) -> InvalidParameter:
    return InvalidParameter(f"unable to parse docker host `{text}`")
