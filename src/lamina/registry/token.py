"""The token protocol: what is asked of a token server, and how its answer is read. Pure.

Follows distribution's "Token Authentication Specification" (GET) and "Oauth2 Token Authentication"
(POST). A scope is ``repository:<name>:<actions>`` or ``registry:catalog:*``.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import msgspec
from yarl import URL

from lamina.errors import LaminaError
from lamina.registry.challenge import Challenge
from lamina.registry.credentials import AuthConfig

LONGEST_ANSWER = 1 << 20
"""Bytes of an answer at most; tokens with many claims are some kilobytes."""

SHORTEST_LIFE = 60.0
"""Seconds that a token lives if nothing is said, and at least, as the specification has it."""

_MARGIN = 10.0
_LONGEST_LIFE = 86_400.0
_ALLOWED = frozenset(string.ascii_letters + string.digits + string.punctuation)


class TokenError(LaminaError):
    """A token server's answer that is none."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One way to ask for a token; `basic` are user name and password for GET."""

    method: Literal["GET", "POST"]
    url: URL
    form: bytes = b""
    basic: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, used until `expires` (seconds of the monotonic clock)."""

    value: str
    expires: float
    refresh: str = ""


class _Answer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None


_ANSWER = msgspec.json.Decoder(_Answer, strict=False)


def scope(name: str, *actions: str) -> str:
    """The scope of a repository, by its name without the registry."""
    return f"repository:{name}:{','.join(actions)}"


CATALOG_SCOPE = "registry:catalog:*"


def merge_scopes(*groups: Iterable[str]) -> tuple[str, ...]:
    """All scopes once, sorted: equal needs are equal keys of the token cache."""
    return tuple(sorted({item for group in groups for item in group if item}))


def requests(
    challenge: Challenge,
    credentials: AuthConfig,
    scopes: Iterable[str],
    *,
    client_id: str,
    offline: bool = False,
) -> tuple[TokenRequest, ...]:
    """The ways to ask the challenge's token server, in order while it answers 404 or 405.

    `offline` asks for a refresh token as well. Raises TokenError (a realm that is no URL).
    """
    realm = _realm(challenge.get("realm"))
    service = challenge.get("service")
    wanted = list(scopes)
    if credentials.identitytoken:
        form = {"grant_type": "refresh_token", "refresh_token": credentials.identitytoken}
        return (_post(realm, form, service, wanted, client_id),)
    pairs = [("service", service)] if service else []
    pairs += [("scope", item) for item in wanted]
    if credentials.username:
        pairs.append(("account", credentials.username))
    if offline:
        pairs += [("client_id", client_id), ("offline_token", "true")]
    if not credentials.username:
        return (TokenRequest("GET", realm.extend_query(pairs)),)
    form = {
        "grant_type": "password",
        "username": credentials.username,
        "password": credentials.password,
    }
    if offline:
        form["access_type"] = "offline"
    basic = (credentials.username, credentials.password)
    return (
        TokenRequest("GET", realm.extend_query(pairs), basic=basic),
        _post(realm, form, service, wanted, client_id),
    )


def _realm(text: str) -> URL:
    try:
        url = URL(text)
        if url.scheme in {"http", "https"} and url.host and url.port and not url.user:
            return url
    except ValueError:
        pass
    raise TokenError(f"invalid token auth challenge realm: {text[:200]}")


def read(answer: bytes, *, now: float) -> Token:
    """The token of a successful answer; `now` is the monotonic clock's. Raises TokenError."""
    try:
        decoded = _ANSWER.decode(answer)
    except (ValueError, RecursionError) as error:
        raise TokenError(f"unable to decode token response: {error}") from error
    value = decoded.token or decoded.access_token
    if not value:
        raise TokenError("authorization server did not include a token in the response")
    if not _ALLOWED.issuperset(value):
        raise TokenError("authorization server sent a token with forbidden characters")
    life = min(max(decoded.expires_in or 0.0, SHORTEST_LIFE), _LONGEST_LIFE)
    return Token(value, now + life - _MARGIN, decoded.refresh_token or "")


def _post(
    realm: URL, form: dict[str, str], service: str, scopes: list[str], client_id: str
) -> TokenRequest:
    form = {**form, "service": service, "client_id": client_id}
    if scopes:
        form["scope"] = " ".join(scopes)
    return TokenRequest("POST", realm, urlencode(form).encode())
