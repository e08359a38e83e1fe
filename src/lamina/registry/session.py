"""Speaks to one endpoint with one set of credentials: authorisation and repetition of requests.

The first contact is ``GET /v2/``, as Docker's clients make it: it tells whether the endpoint can be
reached at all and what it asks for. What it told is remembered in `Contacts` for a while, so that
later operations begin with their own request.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from yarl import URL

from lamina.errors import LaminaError
from lamina.registry import challenge
from lamina.registry.auth import Authorizer
from lamina.registry.challenge import Challenge, ask_alike
from lamina.registry.clock import Clock
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryError, explain
from lamina.registry.hosts import Endpoint
from lamina.registry.redirect import public, same_origin
from lamina.registry.retry import RETRIED_STATUSES, RetryPolicy, retry_after
from lamina.registry.token import merge_scopes
from lamina.registry.transport import Answer, Body, Request, Transport

ERROR_LIMIT = 64 << 10
"""Bytes read of a refusal."""

_CONTACT_LIFE = 600.0
_MOST_CONTACTS = 1000
_TIMEOUT_ATTEMPTS = 2

Waiting = Callable[[float], Awaitable[None]]
"""Waits for that many seconds; a caller's own may tell its user."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What an endpoint asked for when it was last met, at `moment` of the monotonic clock."""

    challenges: tuple[Challenge, ...]
    moment: float


@dataclass(slots=True)
class Contacts:
    """The endpoints met lately. One for all sessions of an engine."""

    met: dict[Endpoint, Contact] = field(default_factory=dict)

    def find(self, endpoint: Endpoint, *, now: float) -> Contact | None:
        """What is known of an endpoint, None if that is nothing or old."""
        contact = self.met.get(endpoint)
        if contact is not None and now - contact.moment > _CONTACT_LIFE:
            del self.met[endpoint]
            return None
        return contact

    def add(self, endpoint: Endpoint, contact: Contact) -> None:
        """Remember an endpoint; of very many the oldest is forgotten."""
        self.met.pop(endpoint, None)
        self.met[endpoint] = contact
        while len(self.met) > _MOST_CONTACTS:
            del self.met[next(iter(self.met))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all sessions of an engine share."""

    transport: Transport
    authorizer: Authorizer
    contacts: Contacts
    policy: RetryPolicy
    clock: Clock
    logger: logging.Logger


class Session:
    """One endpoint, asked in the name of `credentials`; `headers` go with every request."""

    def __init__(
        self,
        tools: Tools,
        endpoint: Endpoint,
        credentials: AuthConfig,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.tools = tools
        self.endpoint = endpoint
        self.credentials = credentials
        self.headers = dict(headers or {})

    @property
    def is_met(self) -> bool:
        """Whether the endpoint has answered lately."""
        contact = self.tools.contacts.find(self.endpoint, now=self.tools.clock.monotonic())
        return contact is not None

    async def request(
        self,
        method: str,
        where: str | URL,
        *,
        scopes: Sequence[str] = (),
        expected: Sequence[int] = (200,),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        retry: bool = True,
        slow: bool = False,
    ) -> Answer:
        """The answer to a request, whose status is one of `expected`; release it.

        `where` is an encoded path below the endpoint's prefix, or a URL that it gave. With `retry`
        it is repeated on broken connections, on 429 and on errors of the server, as the policy
        says. Raises ConnectionFailed, RegistryError, and what `Authorizer.authorization` raises.
        """
        url = self.endpoint.url(where) if isinstance(where, str) else where
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._authorized(
                    method, url, scopes, expected, headers=headers, body=body, slow=slow
                )
            except (ConnectionFailed, RegistryError) as error:
                delay = self.delay_after(error, attempt) if retry else None
                if delay is None:
                    raise
                self.tools.logger.info("%s; trying again in %.1f s", error, delay)
            await self.tools.clock.sleep(delay)

    def delay_after(self, error: LaminaError, attempt: int) -> float | None:
        """Seconds until another attempt is worth it, None if none is."""
        policy = self.tools.policy
        match error:
            case ConnectionFailed(trouble=Trouble.BROKEN):
                return policy.delay(attempt)
            case ConnectionFailed(trouble=Trouble.TIMEOUT) if attempt < _TIMEOUT_ATTEMPTS:
                return policy.delay(attempt)
            case RegistryError(status=status, retry_after=asked) if status in RETRIED_STATUSES:
                return policy.delay(attempt, asked)
            case _:
                return None

    async def meet(self, *, anew: bool = False) -> tuple[Challenge, ...]:
        """What the endpoint asks for; asks it if it was not met lately, or `anew`.

        Raises ConnectionFailed.
        """
        known = self.tools.contacts.find(self.endpoint, now=self.tools.clock.monotonic())
        if known is not None and not anew:
            return known.challenges
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._meet()
            except ConnectionFailed as error:
                delay = self.delay_after(error, attempt)
                if delay is None:
                    raise
            await self.tools.clock.sleep(delay)

    async def _meet(self) -> tuple[Challenge, ...]:
        async with await self._send("GET", self.endpoint.url("/"), None) as answer:
            await answer.read(ERROR_LIMIT)
            # A registry that is short of breath has not said what it asks for.
            return () if answer.status in RETRIED_STATUSES else self._remember(answer)

    def _remember(self, answer: Answer) -> tuple[Challenge, ...]:
        found = challenges_of(answer) if answer.status == 401 else ()
        now = self.tools.clock.monotonic()
        self.tools.contacts.add(self.endpoint, Contact(found, now))
        return found

    async def _authorized(
        self,
        method: str,
        url: URL,
        scopes: Sequence[str],
        expected: Sequence[int],
        *,
        headers: Mapping[str, str] | None,
        body: Body | None,
        slow: bool,
    ) -> Answer:
        """One attempt, of which a 401 may make two: with the challenge's answer, or a new token."""
        is_remembered = self.is_met
        challenges = await self.meet()
        refused: str | None = None
        for is_last in (False, True):
            authorization = None
            if same_origin(url, self.endpoint.origin):
                try:
                    authorization = await self._authorization(challenges, scopes, refused)
                except LaminaError:
                    if not is_remembered:
                        raise
                    # It may ask for something else by now, or of another token server.
                    is_remembered, known = False, challenges
                    challenges = await self.meet(anew=True)
                    if ask_alike(challenges, known):
                        raise
                    authorization = await self._authorization(challenges, scopes, refused)
            answer = await self._send(
                method, url, authorization, headers=headers, body=body, slow=slow
            )
            if answer.status in expected:
                return answer
            async with answer:
                error = await refusal(answer, self.tools.clock)
            news = challenges_of(answer)
            # Basic credentials that were refused once will be refused again.
            is_hopeless = authorization is not None and authorization.startswith("Basic ")
            if answer.status != 401 or is_last or is_hopeless or not news:
                raise error
            challenges = self._remember(answer)
            scopes = merge_scopes(scopes, *(c.get("scope").split() for c in news))
            refused = authorization
        raise AssertionError("unreachable")

    async def _authorization(
        self, challenges: Sequence[Challenge], scopes: Sequence[str], refused: str | None
    ) -> str | None:
        return await self.tools.authorizer.authorization(
            self.endpoint, challenges, self.credentials, scopes, stale=refused
        )

    async def _send(
        self,
        method: str,
        url: URL,
        authorization: str | None,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        slow: bool = False,
    ) -> Answer:
        is_ours = same_origin(url, self.endpoint.origin)
        private = list(self.endpoint.headers) if is_ours else []
        if authorization is not None and is_ours:
            private.append(("Authorization", authorization))
        given = {**self.headers, **(headers or {})}
        try:
            return await self.tools.transport.send(
                Request(
                    method=method,
                    url=url,
                    tls=self.endpoint.tls,
                    plain_allowed=self.endpoint.plain_allowed,
                    headers=given if is_ours else public(given),
                    private=tuple(private),
                    body=body,
                    slow=slow,
                )
            )
        except ConnectionFailed as error:
            if error.trouble in {Trouble.DIAL, Trouble.TLS, Trouble.PLAIN}:
                self.tools.contacts.met.pop(self.endpoint, None)
            raise


def challenges_of(answer: Answer) -> tuple[Challenge, ...]:
    """What an answer asks for."""
    return challenge.parse(answer.headers.getall("WWW-Authenticate", ()))


async def refusal(answer: Answer, clock: Clock) -> RegistryError:
    """The exception for an answer that is not what was expected; reads its body."""
    try:
        body = await answer.read(ERROR_LIMIT)
    except ConnectionFailed:
        # The status has been said; what it meant to add is lost.
        body = b""
    return explain(
        answer.status,
        body,
        challenges=challenges_of(answer),
        retry_after=retry_after(answer.headers.get("Retry-After"), now=clock.time()),
    )
