"""Makes TLS contexts of `hosts.Tls` values, and keeps them while their files stay the same."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from lamina.errors import InvalidParameter
from lamina.registry.hosts import Tls

_Stamp = tuple[tuple[Path, int, int], ...]


class TlsContexts:
    """Contexts by what they are made of. Used from one thread at a time."""

    def __init__(self) -> None:
        self._made: dict[Tls, tuple[_Stamp, ssl.SSLContext]] = {}

    def context(self, tls: Tls) -> ssl.SSLContext:
        """The context for `tls`; reads files, so it belongs into a thread.

        Raises InvalidParameter (a file that is missing or is no certificate or key).
        """
        stamp = tuple(_stamps(tls))
        known = self._made.get(tls)
        if known is None or known[0] != stamp:
            known = self._made[tls] = (stamp, _make(tls))
        return known[1]


def _stamps(tls: Tls) -> Iterator[tuple[Path, int, int]]:
    for path in _files(tls):
        try:
            status = path.stat()
        except OSError as error:
            raise InvalidParameter(f"open {path}: {error.strerror}") from error
        yield path, status.st_mtime_ns, status.st_ino


def _files(tls: Tls) -> Iterator[Path]:
    yield from tls.authorities
    for client in tls.clients:
        yield client.certificate
        if client.key is not None:
            yield client.key


def _make(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for authority in tls.authorities:
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise InvalidParameter(f"could not load CA certificate {authority}: {error}") from error
    for client in tls.clients:
        try:
            # An encrypted key must fail instead of asking a terminal.
            context.load_cert_chain(client.certificate, client.key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise InvalidParameter(
                f"could not load X509 key pair {client.certificate}: {error}"
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
