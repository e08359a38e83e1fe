"""Where a redirection or an upload's ``Location`` may lead. Pure.

Registries redirect blobs to object stores and hand out absolute upload locations. A request made
under TLS never goes on in the clear unless that is allowed, and what proves who we are never goes
to another origin.
"""

from collections.abc import Mapping

from yarl import URL

LONGEST_CHAIN = 10
"""Redirections followed for one request, as in Go."""

_ANY_METHOD = frozenset({307, 308})
_GET_ONLY = frozenset({301, 302, 303})


class BadLocationError(Exception):
    """A ``Location`` that will not be followed."""


def follows(method: str, status: int) -> bool:
    """Whether this answer to a request is to be followed with the same method."""
    return status in _ANY_METHOD or (status in _GET_ONLY and method in {"GET", "HEAD"})


def target(current: URL, location: str, *, plain_allowed: bool) -> URL:
    """The URL that `location`, given by `current`, means. Raises BadLocationError.

    A registry behind a proxy that ends TLS often calls itself ``http``: as the same host was
    reached by TLS, that is meant.
    """
    try:
        url = current.join(URL(location, encoded=True)).with_fragment(None)
        host, port = url.host, url.explicit_port
    except ValueError as error:
        raise BadLocationError(f"failed to parse Location header {location[:200]!r}") from error
    if url.scheme not in {"http", "https"} or not host:
        raise BadLocationError(f'unsupported protocol scheme "{url.scheme}"')
    if current.scheme == "https" and url.scheme == "http":
        if host == current.host and port in {None, 80, current.port}:
            return url.with_scheme("https").with_port(current.explicit_port)
        if not plain_allowed:
            raise BadLocationError(f"refusing to follow from https to {url.origin()}")
    return url


def same_origin(one: URL, other: URL) -> bool:
    """Whether both have scheme, host and port in common."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def public(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that another origin may see."""
    private = {"authorization", "cookie", "proxy-authorization"}
    return {name: value for name, value in headers.items() if name.lower() not in private}
