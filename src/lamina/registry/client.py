"""`RegistryClient`: one connection pool, one cache of tokens, and every registry behind them."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from yarl import URL

from lamina.errors import LaminaError
from lamina.oci.reference import Reference
from lamina.registry import certs
from lamina.registry.auth import Authorizer
from lamina.registry.clock import Clock, SystemClock
from lamina.registry.credentials import ANONYMOUS, AuthConfig, CredentialSource, NoCredentials
from lamina.registry.hosts import (
    EVERY_REGISTRY,
    Endpoint,
    HostFiles,
    HostRules,
    api_host,
    check_host,
    endpoints,
    host_of,
    is_insecure,
    split_host,
)
from lamina.registry.proxies import Proxies
from lamina.registry.repository import Repository
from lamina.registry.retry import RetryPolicy
from lamina.registry.session import Contacts, Session, Tools
from lamina.registry.transport import Timeouts, Transport

_ADDRESS_LIFE = 600.0

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name, none if it has none."""


async def system_resolver(name: str) -> Sequence[str]:
    """The addresses that this machine knows for a name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # UnicodeError: parts of a name are at most 63 bytes long, and none is empty.
        return ()
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Everything that is set once for all registries."""

    hosts: HostRules = field(default_factory=HostRules)
    proxies: Proxies = field(default_factory=Proxies)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_agent: str = "lamina"
    client_id: str = "lamina"
    index: str = "https://index.docker.io"
    """Where Docker Hub is searched."""


class RegistryClient:
    """The way to every registry: an async context manager which lives as long as its engine.

    `credentials` are asked for where a request brings none, and for mirrors, which never see the
    credentials that were meant for the registry.
    """

    def __init__(
        self,
        config: RegistryConfig,
        *,
        credentials: CredentialSource | None = None,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        self.config = config
        self._credentials = credentials or NoCredentials()
        self._resolver = resolver
        self._addresses: dict[str, tuple[float, Sequence[str]]] = {}
        clock = clock or SystemClock()
        logger = logger or logging.getLogger(__name__)
        transport = Transport(
            user_agent=config.user_agent,
            proxies=config.proxies,
            timeouts=config.timeouts,
            logger=logger,
        )
        self.tools = Tools(
            transport=transport,
            authorizer=Authorizer(transport, clock, client_id=config.client_id),
            contacts=Contacts(),
            policy=config.retries,
            clock=clock,
            logger=logger,
        )

    async def __aenter__(self) -> Self:
        await self.tools.transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.tools.transport.__aexit__(kind, error, traceback)

    async def repository(
        self,
        reference: Reference,
        *,
        credentials: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Repository:
        """The repository of a reference, whose tag and digest do not matter here.

        `headers` (a caller's ``X-Meta-…``) go with every request. Connects to nothing yet. Raises
        InvalidParameter (certificates, hosts.toml), LaminaError (port), CredentialHelperError.
        """
        sessions = await self.sessions(reference.domain, credentials=credentials, headers=headers)
        return Repository(reference.path, sessions)

    async def sessions(
        self,
        registry: str,
        *,
        credentials: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
        mirrors: bool = True,
    ) -> list[Session]:
        """A session for each endpoint of a registry, best first; raises as `repository` does."""
        # There is another host to ask: a mirror is not waited for.
        hasty = replace(self.tools, policy=replace(self.tools.policy, attempts=1))
        found = []
        for endpoint in await self.endpoints(registry):
            if endpoint.is_mirror and mirrors:
                chosen = await self.credentials_for(endpoint.host, None)
                found.append(Session(hasty, endpoint, chosen, headers=headers))
            elif not endpoint.is_mirror:
                chosen = await self.credentials_for(registry, credentials)
                found.append(Session(self.tools, endpoint, chosen, headers=headers))
        return found

    async def credentials_for(self, registry: str, given: AuthConfig | None) -> AuthConfig:
        """The credentials that a request brought, else those kept for a registry, else none."""
        if given is not None and not given.is_empty:
            return given
        return await self._credentials.find(registry) or ANONYMOUS

    async def endpoints(self, registry: str) -> list[Endpoint]:
        """The endpoints of a registry, best first: one that answered lately before its twin.

        Raises InvalidParameter, and LaminaError for a name that has none.
        """
        check_host(registry)
        rules = self.config.hosts
        mirrors = rules.mirrors.get(registry, rules.mirrors.get(EVERY_REGISTRY, ()))
        host = api_host(registry)
        hosts = {registry, host, *(host_of(URL(url)) for url in mirrors)}
        files: Mapping[str, HostFiles] = {}
        if rules.certificates:
            files = await asyncio.to_thread(_read_files, rules.certificates, hosts)
        found = endpoints(rules, registry, files=files, insecure=await self._is_insecure(host))
        return _answering_first(found, self.tools.contacts, self.tools.clock.monotonic())

    async def unsent(self, reference: Reference, reason: LaminaError) -> LaminaError:
        """The error of a first request for `reference` that had no authorisation to be sent with.

        Never Unauthorized, which would make docker's client ask for a password: so does a dockerd.
        """
        endpoint, *_ = await self.endpoints(reference.domain)
        what = (
            "tags/list" if reference.is_bare else f"manifests/{reference.digest or reference.tag}"
        )
        method = "Get" if reference.is_bare or reference.digest is not None else "Head"
        return LaminaError(f'{method} "{endpoint.url(f"/{reference.path}/{what}")}": {reason}')

    async def _is_insecure(self, host: str) -> bool:
        rules = self.config.hosts
        if is_insecure(rules, host):
            return True
        name, _ = split_host(host)
        url = URL(f"https://{host}", encoded=True)
        # Behind a proxy this machine need not know the name, and asking may take long.
        if _is_address(name) or self.config.proxies.proxy_for(url) is not None:
            return False
        return is_insecure(rules, host, await self._addresses_of(name))

    async def _addresses_of(self, name: str) -> Sequence[str]:
        now = self.tools.clock.monotonic()
        moment, addresses = self._addresses.get(name, (0.0, ()))
        if name not in self._addresses or now - moment > _ADDRESS_LIFE:
            addresses = await self._resolver(name)
            if len(self._addresses) > 1000:
                self._addresses.clear()
            self._addresses[name] = (now, addresses)
        return addresses


def _answering_first(found: Sequence[Endpoint], contacts: Contacts, now: float) -> list[Endpoint]:
    """In the given order, but that of two with one host the one that is known to answer leads."""
    ordered: list[Endpoint] = []
    for endpoint in found:
        twins = [twin for twin in found if twin.host == endpoint.host and twin not in ordered]
        twins.sort(key=lambda twin: contacts.find(twin, now=now) is None)
        if endpoint not in ordered:
            ordered.extend(twins)
    return ordered


def _read_files(directories: Sequence[Path], hosts: set[str]) -> dict[str, HostFiles]:
    return {host: certs.read(directories, host) for host in hosts}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
