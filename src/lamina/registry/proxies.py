"""Which proxy a request goes through, by the rules of Go's ``httpproxy`` that users know. Pure."""

import contextlib
import ipaddress
from dataclasses import dataclass

from yarl import URL

from lamina.errors import LaminaError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Proxy URLs for plain and for TLS requests, empty for none, and the hosts reached without.

    `exceptions` is the text of ``NO_PROXY``: hosts (``example.com`` means its subdomains too,
    ``.example.com`` only them), addresses and networks, each with an optional port; ``*`` is all.
    """

    http: str = ""
    https: str = ""
    exceptions: str = ""

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy for a request to `url`; loopback is never asked for through one.

        Raises LaminaError for a proxy that is no ``http://`` or ``https://`` URL.
        """
        proxy = self.https if url.scheme == "https" else self.http
        host = (url.host or "").lower().rstrip(".")
        if not proxy or host == "localhost" or self._is_exception(host, url.port):
            return None
        return _parsed(proxy)

    def environment(self) -> dict[str, str]:
        """The same for other programs, by the names that curl knows."""
        if not (self.http or self.https):
            return {}
        exceptions = ",".join(filter(None, [self.exceptions, "localhost", "127.0.0.1", "::1"]))
        return {"http_proxy": self.http, "https_proxy": self.https, "no_proxy": exceptions}

    def _is_exception(self, host: str, port: int | None) -> bool:
        address = _address(host)
        if address is not None and address.is_loopback:
            return True
        for item in self.exceptions.split(","):
            entry = item.strip().lower()
            if entry == "*":
                return True
            if entry and _matches(entry, host, port, address):
                return True
        return False


def _parsed(text: str) -> URL:
    with contextlib.suppress(ValueError):
        url = URL(text if "://" in text else f"http://{text}")
        if url.scheme in {"http", "https"} and url.host and url.port:
            return url
    # It may hold a password.
    raise LaminaError("invalid proxy address: expected an http or https URL")


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _matches(entry: str, host: str, port: int | None, address: _Address | None) -> bool:
    name, wanted = entry, ""
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address.version == network.version and address in network
    if _address(entry.strip("[]")) is None:
        head, colon, tail = entry.rpartition(":")
        if colon and tail.isdigit():
            name, wanted = head, tail
    name = name.strip("[]")
    if wanted and wanted != str(port):
        return False
    literal = _address(name)
    if literal is not None or address is not None:
        return literal == address
    if name.startswith(("*.", ".")):
        return host.endswith(name.removeprefix("*"))
    return host == name or host.endswith(f".{name}")
