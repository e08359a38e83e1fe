"""Authorises requests: answers challenges, gets tokens and keeps them while they live."""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Sequence

from lamina.errors import Forbidden, Unauthorized
from lamina.registry import token as tokens
from lamina.registry.challenge import Challenge, choose, parse
from lamina.registry.clock import Clock
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryError, RegistryUnauthorized, explain
from lamina.registry.hosts import Endpoint
from lamina.registry.retry import RETRIED_STATUSES, retry_after
from lamina.registry.token import Token, TokenRequest
from lamina.registry.transport import Request, Transport, bytes_body

_KEPT = 1024
_FORM = "application/x-www-form-urlencoded"

_Key = tuple[Endpoint, Challenge | tuple[str, str], AuthConfig, tuple[str, ...]]


class BasicCredentialsMissing(Unauthorized):
    """The registry wants a user name and a password, and there are none."""

    def __init__(self) -> None:
        super().__init__("no basic auth credentials")


class TokenRefused(RegistryUnauthorized):
    """The token server does not take the credentials, or says nothing of use."""

    def __init__(self, refusal: RegistryError) -> None:
        super().__init__(str(refusal), status=refusal.status, problems=refusal.problems)


class _Kept:
    """One place of the cache; whoever needs the token first gets it for all."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.token: Token | None = None


class Authorizer:
    """Gives the ``Authorization`` of requests, with one cache of tokens for all.

    A token is found again only with the same endpoint, token server, credentials and scopes.
    """

    def __init__(self, transport: Transport, clock: Clock, *, client_id: str = "lamina") -> None:
        self._transport = transport
        self._clock = clock
        self._client_id = client_id
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    async def authorization(
        self,
        endpoint: Endpoint,
        challenges: Sequence[Challenge],
        credentials: AuthConfig,
        scopes: Sequence[str],
        *,
        stale: str | None = None,
    ) -> str | None:
        """The header's value, None where nothing is asked for.

        `stale` is a value that was refused: a token equal to it is not given again. Raises
        BasicCredentialsMissing, TokenError, TokenRefused, RegistryError (a token server that may
        answer later) and ConnectionFailed, Forbidden (one that must not be told a secret).
        """
        if credentials.registrytoken:
            return f"Bearer {credentials.registrytoken}"
        challenge = choose(challenges)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return _basic(credentials.username, credentials.password)
        wanted = tokens.merge_scopes(scopes)
        found = await self._token(endpoint, challenge, credentials, wanted, stale=stale)
        return f"Bearer {found.value}"

    async def refresh_token(
        self, endpoint: Endpoint, challenge: Challenge, credentials: AuthConfig
    ) -> Token:
        """A token without scopes, and a refresh token if the server gives one; raises as above."""
        return await self._fetch(endpoint, challenge, credentials, (), offline=True)

    async def _token(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        credentials: AuthConfig,
        scopes: tuple[str, ...],
        *,
        stale: str | None,
    ) -> Token:
        server = (challenge.get("realm"), challenge.get("service"))
        kept = self._place((endpoint, server, credentials, scopes))
        async with kept.lock:
            if (
                kept.token is None
                or kept.token.expires <= self._clock.monotonic()
                or f"Bearer {kept.token.value}" == stale
            ):
                kept.token = None
                kept.token = await self._fetch(endpoint, challenge, credentials, scopes)
            return kept.token

    def _place(self, key: _Key) -> _Kept:
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _fetch(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        credentials: AuthConfig,
        scopes: tuple[str, ...],
        *,
        offline: bool = False,
    ) -> Token:
        error: RegistryError | None = None
        for request in tokens.requests(
            challenge, credentials, scopes, client_id=self._client_id, offline=offline
        ):
            try:
                return await self._ask(endpoint, request)
            except RegistryError as refused:
                error = error or refused
                if refused.status not in {404, 405}:
                    break
        assert error is not None
        if error.status in RETRIED_STATUSES:
            raise error
        raise TokenRefused(error) from error

    async def _ask(self, endpoint: Endpoint, request: TokenRequest) -> Token:
        if request.url.scheme == "http" and not endpoint.plain_allowed:
            raise Forbidden(
                f"refusing to ask for a token in the clear: {request.url.origin()} was named by "
                f"{endpoint.origin}"
            )
        authorization = (
            () if request.basic is None else (("Authorization", _basic(*request.basic)),)
        )
        answer = await self._transport.send(
            Request(
                method=request.method,
                url=request.url,
                tls=endpoint.tls,
                plain_allowed=endpoint.plain_allowed,
                private=authorization,
                body=bytes_body(request.form, _FORM) if request.method == "POST" else None,
                # What is posted is a secret, meant for this server.
                follow=request.method == "GET",
            )
        )
        async with answer:
            body = await answer.read(tokens.LONGEST_ANSWER)
            if answer.status != 200:
                raise explain(
                    answer.status,
                    body,
                    challenges=parse(answer.headers.getall("WWW-Authenticate", ())),
                    retry_after=retry_after(
                        answer.headers.get("Retry-After"), now=self._clock.time()
                    ),
                )
            return tokens.read(body, now=self._clock.monotonic())


def _basic(username: str, password: str) -> str:
    if not username and not password:
        raise BasicCredentialsMissing
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
