"""`SystemApi`: what an engine tells about itself, beside its images."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

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


class SystemApi(Protocol):
    """The engine's own state: versions, configuration, disk use and events."""

    async def system_auth(self, auth_config: RegistryAuth) -> AuthenticateOK:
        """Try credentials on the registry that their ``serveraddress`` names (or Docker Hub).

        Raises Unauthorized; anything else says that the registry could not be asked.
        """
        ...

    async def distribution_inspect(
        self, name: str, *, x_registry_auth: RegistryAuth = ""
    ) -> DistributionInspect:
        """What a registry has under a name. Raises InvalidReference, NotFound, Unauthorized."""
        ...

    async def system_ping(self) -> SystemPing:
        """The versions that an engine announces before anything else is asked."""
        ...

    async def system_version(self) -> SystemVersion:
        """Versions of the engine and its parts."""
        ...

    async def system_info(self) -> SystemInfo:
        """Configuration, counts and capabilities."""
        ...

    async def system_data_usage(self, *, types: Sequence[str] = ()) -> SystemDataUsage:
        """Disk use in bytes; `types` limits it to some of container, image, volume, build-cache."""
        ...

    def system_events(
        self, *, since: str = "", until: str = "", filters: Filters | None = None
    ) -> AsyncGenerator[EventMessage, None]:
        """Events as they happen, after those kept since `since`; ends at `until`, else never.

        `since` and `until` are RFC 3339, Go durations (ago) or unix seconds with optional
        nanoseconds.
        Raises InvalidParameter (times), InvalidFilter.
        """
        ...
