"""Credentials for registries, and the form in which Docker's clients send them. Pure.

``X-Registry-Auth`` is base64url JSON of an AuthConfig (``username``, ``password``, ``email``,
``serveraddress``, or ``identitytoken``, or ``registrytoken``); ``X-Registry-Config`` is base64url
JSON of a map from registry to AuthConfig.
"""

import base64
import binascii
from typing import Protocol, TypeVar

import msgspec

from lamina.errors import InvalidParameter
from lamina.registry.hosts import DOCKER_HUB, HUB_HOST

HUB_KEY = "https://index.docker.io/v1/"
"""The name of Docker Hub in configuration files, kept from the first registry protocol."""

_LONGEST_HEADER = 1 << 20
_TO_URLSAFE = str.maketrans("+/", "-_")

T = TypeVar("T")


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials of one registry, with the JSON names of the Engine API.

    `identitytoken` is a refresh token, which gets access tokens; `registrytoken` an access token.
    """

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that could convince a registry."""
        return not (self.username or self.password or self.identitytoken or self.registrytoken)

    def __repr__(self) -> str:
        """Shows whose credentials they are, never a secret."""
        return f"AuthConfig(username={self.username!r}, serveraddress={self.serveraddress!r})"


ANONYMOUS = AuthConfig()


class CredentialSource(Protocol):
    """Where credentials come from when a request brings none."""

    async def find(self, registry: str) -> AuthConfig | None:
        """The credentials for a registry (``docker.io``, ``host:port``), None if there are none."""
        ...


class NoCredentials:
    """The source of an engine whose requests bring their own."""

    async def find(self, registry: str) -> AuthConfig | None:  # noqa: ARG002
        """Never any."""
        return None


def decode_header(header: str) -> AuthConfig:
    """The AuthConfig of an ``X-Registry-Auth`` header; empty for an empty one.

    Raises InvalidParameter; a dockerd ignores that on all but login.
    """
    return unpack(_decode(header, AuthConfig)) if header else ANONYMOUS


def decode_map(header: str) -> dict[str, AuthConfig]:
    """Registry to AuthConfig of an ``X-Registry-Config`` header. Raises InvalidParameter.

    Keys become registry names: ``docker.io`` for Docker Hub's, else ``host[:port]``.
    """
    if not header:
        return {}
    decoded = _decode(header, dict[str, AuthConfig])
    return {registry_of(key): unpack(value) for key, value in decoded.items()}


def unpack(credentials: AuthConfig) -> AuthConfig:
    """With user name and password taken out of `auth` where only that is set.

    Raises InvalidParameter.
    """
    if not credentials.auth or credentials.username:
        return msgspec.structs.replace(credentials, auth="")
    try:
        text = base64.b64decode(credentials.auth, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidParameter("invalid auth configuration file") from error
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidParameter("invalid auth configuration file")
    return msgspec.structs.replace(
        credentials, auth="", username=username, password=password.strip("\0")
    )


def pack(username: str, password: str) -> str:
    """The `auth` field for a user name and password."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def registry_of(key: str) -> str:
    """The registry that a key of a configuration file or a server address means."""
    host = key.strip()
    for scheme in ("https://", "http://"):
        host = host.removeprefix(scheme)
    host = host.partition("/")[0]
    is_hub = host in {"", DOCKER_HUB, f"index.{DOCKER_HUB}", HUB_HOST}
    return DOCKER_HUB if is_hub else host


def key_of(registry: str) -> str:
    """The key under which a registry stands in configuration files."""
    return HUB_KEY if registry_of(registry) == DOCKER_HUB else registry


def _decode(header: str, kind: type[T]) -> T:
    if len(header) > _LONGEST_HEADER:
        raise InvalidParameter("invalid X-Registry-Auth header: too long")
    try:
        # Some clients leave the padding away, some use the other alphabet.
        text = header.strip().rstrip("=").translate(_TO_URLSAFE)
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), kind)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid X-Registry-Auth header: {error}") from error


def _without_nulls(value: object) -> object:
    """JSON with null members left out, as Go's decoder takes it: docker-py sends a null `email`."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    return {} if value is None else value
