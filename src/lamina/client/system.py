"""What an engine tells about itself, over HTTP."""

import base64
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence

import msgspec

from lamina.api.messages import Lines
from lamina.api.versions import ApiVersion
from lamina.client import replies
from lamina.client.connection import Connection, distribution_path
from lamina.client.moments import unix_time
from lamina.client.parameters import auth_header, encode_filters
from lamina.image_api import Filters, RegistryAuth
from lamina.models import (
    AuthenticateOK,
    DistributionInspect,
    EventMessage,
    SystemDataUsage,
    SystemInfo,
    SystemPing,
    SystemVersion,
)


class SystemCalls:
    """The `SystemApi` half of a client."""

    _connection: Connection

    async def system_auth(self, auth_config: RegistryAuth) -> AuthenticateOK:
        """Try credentials on their registry."""
        if isinstance(auth_config, str):
            raw = base64.urlsafe_b64decode(auth_config or "e30=")
        else:
            raw = msgspec.json.encode(dict(auth_config))
        return replies.authenticated(await self._connection.fetch("POST", "/auth", json=raw))

    async def distribution_inspect(
        self, name: str, *, x_registry_auth: RegistryAuth = ""
    ) -> DistributionInspect:
        """What a registry has under a name."""
        self._connection.require(ApiVersion(1, 30), "distribution inspect")
        path, headers = distribution_path(name), auth_header(x_registry_auth)
        return replies.distribution(await self._connection.fetch("GET", path, headers=headers))

    async def system_ping(self) -> SystemPing:
        """The versions that the engine announces before anything else is asked."""
        return await self._connection.ping()

    async def system_version(self) -> SystemVersion:
        """Versions of the engine and its parts."""
        return replies.version(await self._connection.fetch("GET", "/version"))

    async def system_info(self) -> SystemInfo:
        """Configuration, counts and capabilities."""
        return replies.info(await self._connection.fetch("GET", "/info"))

    async def system_data_usage(self, *, types: Sequence[str] = ()) -> SystemDataUsage:
        """Disk use in bytes; `types` limits it to some of container, image, volume, build-cache."""
        # Older engines ignore the parameter and compute everything.
        wanted = types if self._connection.version >= ApiVersion(1, 42) else ()
        raw = await self._connection.fetch("GET", "/system/df", {"type": wanted})
        return replies.data_usage(raw, types)

    async def system_events(
        self, *, since: str = "", until: str = "", filters: Filters | None = None
    ) -> AsyncGenerator[EventMessage, None]:
        """Events as they happen, after those kept since `since`; ends at `until`, else never."""
        now = time.time()
        given = {
            "since": unix_time(since, now=now),
            "until": unix_time(until, now=now),
            "filters": encode_filters(filters),
        }
        params = {name: value for name, value in given.items() if value}
        lines = Lines()
        async with (
            self._connection.open("GET", "/events", params) as response,
            contextlib.aclosing(self._connection.lines(response)) as chunks,
        ):
            async for chunk in chunks:
                for line in lines.feed(chunk):
                    yield replies.event(line)
