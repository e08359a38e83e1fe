"""What an engine tells about itself, over HTTP."""

import contextlib
import time
from collections.abc import AsyncGenerator, Sequence

from lamina.api.versions import ApiVersion
from lamina.client import replies
from lamina.client.connection import Connection, Messages
from lamina.client.images import encode_filters
from lamina.client.moments import unix_time
from lamina.image_api import Filters
from lamina.models import EventMessage, SystemDataUsage, SystemInfo, SystemPing, SystemVersion


class SystemCalls:
    """The `SystemApi` half of a client."""

    _connection: Connection

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
        messages = Messages()
        async with (
            self._connection.open("GET", "/events", params) as response,
            contextlib.aclosing(self._connection.lines(response)) as chunks,
        ):
            async for chunk in chunks:
                for line in messages.feed(chunk):
                    yield replies.event(line)
