"""``/auth``: whether a registry takes credentials (``docker login``)."""

from dataclasses import dataclass

import msgspec

from lamina.errors import InvalidParameter, LaminaError, Unauthorized
from lamina.registry.challenge import choose
from lamina.registry.client import RegistryClient
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig, registry_of
from lamina.registry.failure import RegistryError, RegistryUnauthorized, status_line
from lamina.registry.hosts import check_host
from lamina.registry.session import ERROR_LIMIT, Session, challenges_of
from lamina.registry.transport import Answer, Request


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded; `identity_token` replaces the password where it is not empty."""

    status: str = "Login Succeeded"
    identity_token: str = ""


class LoginFailed(LaminaError):
    """The registry answered neither yes nor no."""


async def log_in(client: RegistryClient, credentials: AuthConfig) -> Login:
    """Ask the registry of ``credentials.serveraddress`` (Docker Hub if empty), never a mirror.

    An access token is no login and is left aside.
    Raises InvalidParameter (the address), Unauthorized (wrong credentials), ConnectionFailed,
    LoginFailed, TokenError.
    """
    credentials = msgspec.structs.replace(credentials, registrytoken="")
    registry = registry_of(credentials.serveraddress)
    try:
        check_host(registry)
    except InvalidParameter as error:
        raise InvalidParameter(f"unable to parse server address: {error}") from error
    sessions = await client.sessions(registry, credentials=credentials, mirrors=False)
    for session in sessions[:-1]:
        try:
            return await _log_in(session, credentials)
        except ConnectionFailed as error:
            if session.is_met:
                raise
            session.tools.logger.info("%s; asking the next host", error)
    return await _log_in(sessions[-1], credentials)


async def _log_in(session: Session, credentials: AuthConfig) -> Login:
    url = session.endpoint.url("/")
    challenge = choose(await session.meet(anew=True))
    refresh = ""
    if challenge is not None and challenge.scheme == "bearer":
        try:
            token = await session.tools.authorizer.refresh_token(
                session.endpoint, challenge, credentials
            )
        except RegistryError as error:
            message = f'Get "{url}": {error}'
            if isinstance(error, Unauthorized):
                raise RegistryUnauthorized(
                    message, status=error.status, problems=error.problems
                ) from error
            raise LoginFailed(message) from error
        authorization: str | None = f"Bearer {token.value}"
        refresh = token.refresh or credentials.identitytoken
    else:
        authorization = await session.tools.authorizer.authorization(
            session.endpoint, () if challenge is None else (challenge,), credentials, ()
        )
    async with await _ping(session, authorization) as answer:
        await answer.read(ERROR_LIMIT)
        if answer.status == 200:
            return Login(identity_token=refresh)
        message = f"login attempt to {url} failed with status: {status_line(answer.status)}"
        if answer.status in {401, 403} and challenges_of(answer):
            raise RegistryUnauthorized(message, status=answer.status)
        raise LoginFailed(message)


async def _ping(session: Session, authorization: str | None) -> Answer:
    private = list(session.endpoint.headers)
    if authorization is not None:
        private.append(("Authorization", authorization))
    return await session.tools.transport.send(
        Request(
            method="GET",
            url=session.endpoint.url("/"),
            tls=session.endpoint.tls,
            plain_allowed=session.endpoint.plain_allowed,
            private=tuple(private),
        )
    )
