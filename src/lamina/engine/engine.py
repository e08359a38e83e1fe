"""`Engine`: a data root opened in this process, and what it tells about itself.

Its operations on images and on containers have files of their own.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from lamina import __version__
from lamina.build.cache_mounts import CacheMounts
from lamina.build.parts import BuildParts
from lamina.build.scratch import sweep_left_overs
from lamina.containers.containers import Containers, Parts
from lamina.containers.recovery import close_containers
from lamina.content.local import LocalStore
from lamina.default_root import default_root
from lamina.engine.build_pruning import build_cache
from lamina.engine.container_operations import ContainerOperations
from lamina.engine.image_operations import ImageOperations
from lamina.engine.registries import authenticate, inspect_distribution
from lamina.engine.system import API_VERSION, Host, data_usage, system_info, system_version
from lamina.engine.volumes import with_usage
from lamina.engine.watching import watch_events
from lamina.image_api import Filters, RegistryAuth
from lamina.layers.compression import Compression
from lamina.models import (
    AuthenticateOK,
    DistributionInspect,
    EventMessage,
    SystemDataUsage,
    SystemInfo,
    SystemPing,
    SystemVersion,
)
from lamina.oci.platform import Platform, host
from lamina.records.configs import ImageConfigs
from lamina.records.garbage import outdated_layers
from lamina.records.records import Records
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.credentials import CredentialSource
from lamina.runtime.workshop import Workshop
from lamina.transfer.layer_indexes import LayerIndexes
from lamina.transfer.remotes import DOWNLOADS, UPLOADS, Remotes
from lamina.transfer.resources import Resources

_UNFINISHED_LIFE = 7 * 24 * 3600
"""Seconds for which what a broken-off pull has is kept."""


class Engine(ImageOperations, ContainerOperations):
    """An engine on a data root. Any number of them, in any processes, may share one root.

    All of it belongs to the event loop it was opened on.
    """

    def __init__(self, root: Path, builds: BuildParts) -> None:
        ImageOperations.__init__(self, builds)
        ContainerOperations.__init__(self, builds.containers)
        self._root = root
        self._host = Host.read()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        root: Path | None = None,
        *,
        platform: Platform | None = None,
        clock: Callable[[], int] = time.time_ns,
        logger: logging.Logger | None = None,
        registries: RegistryConfig | None = None,
        credentials: CredentialSource | None = None,
        max_downloads: int = DOWNLOADS,
        max_uploads: int = UPLOADS,
        layer_compression: Compression = Compression.GZIP,
        build_cache_limit: int | None = None,
        insecure_builds: bool = False,
        snapshot_driver: str | None = None,
        runtime: str | None = None,
        network_driver: str | None = None,
    ) -> AsyncIterator[Self]:
        """Open the engine on `root`, which is made if it does not exist.

        Without one it is where a daemon of the same user has it (see `default_root`).
        `platform` is chosen from multi-platform images (default: the host's); `clock` gives unix
        nanoseconds. `registries` says how registries are reached, `credentials` who asks where a
        call does not; `max_downloads` and `max_uploads` layers move at a time, and those that are
        here uncompressed are pushed in `layer_compression`. `build_cache_limit` bytes are left of
        what cache mounts hold when a build ends; `insecure_builds` lets RUN ask for all privileges.
        `snapshot_driver`, `runtime` (an OCI runtime, by name or path) and `network_driver` are
        found by trying, when they are first needed, if they are not given. Containers that still
        run at the end are killed (see `stop_containers`). Raises Unavailable if the root belongs to
        a newer version or stays locked.
        """
        logger = logger or logging.getLogger("lamina")
        if root is None:
            # The one thing that is read here: a program of five lines has nobody who passes it in.
            root = default_root(os.environ, uid=os.getuid())  # noqa: TID251
        root = root.absolute()
        root.mkdir(parents=True, exist_ok=True, mode=0o711)
        blobs = LocalStore(root / "content")
        client = RegistryClient(
            registries or RegistryConfig(user_agent=f"lamina/{__version__}"),
            credentials=credentials,
            logger=logger,
        )
        async with client, Records.open(root, blobs, logger=logger) as records:
            resources = Resources(
                blobs=blobs,
                records=records,
                configs=ImageConfigs(blobs),
                platform=platform or host(),
                now=clock,
            )
            remotes = Remotes.make(
                client,
                downloads=max_downloads,
                uploads=max_uploads,
                compression=layer_compression,
            )
            workshop = Workshop(
                root,
                records,
                blobs,
                logger=logger,
                driver=snapshot_driver,
                program=runtime,
                network=network_driver,
            )
            containers = Containers(
                root / "containers",
                root / "volumes",
                Parts(records, resources.configs, workshop, clock, logger),
            )
            builds = BuildParts(
                resources=resources,
                remotes=remotes,
                directory=root / "build",
                version=__version__,
                workshop=workshop,
                indexes=LayerIndexes(root / "indexes", blobs),
                caches=CacheMounts(root / "build" / "mounts", now=clock),
                cache_limit=build_cache_limit,
                containers=containers,
                allow_insecure=insecure_builds,
            )
            builds.directory.mkdir(mode=0o711, exist_ok=True)
            await asyncio.to_thread(sweep_left_overs, builds.directory)
            await builds.caches.sweep()
            try:
                engine = cls(root, builds)
                await engine._forget_unfinished()
                await engine._settling.recover()
                yield engine
            finally:
                # Whoever is cancelled once more meanwhile leaves nothing running either.
                await records.finish(_close(containers, workshop))

    async def _forget_unfinished(self) -> None:
        """Give up pulls that nobody has taken up again for a week."""
        await self._resources.blobs.sweep_ingests(_UNFINISHED_LIFE)
        since = self._resources.now() - _UNFINISHED_LIFE * 1_000_000_000
        if any(time <= since for time in self._records.catalogue.kept_layers.values()):
            await self._records.change(
                lambda transaction: transaction.do_all(
                    list(outdated_layers(transaction.catalogue, since))
                )
            )
            await self._records.sweep()

    # The engine itself; see `lamina.system_api.SystemApi`.

    async def system_auth(self, auth_config: RegistryAuth) -> AuthenticateOK:
        """Try credentials on their registry."""
        return await authenticate(self._remotes.registries, auth_config)

    async def distribution_inspect(
        self, name: str, *, x_registry_auth: RegistryAuth = ""
    ) -> DistributionInspect:
        """What a registry has under a name."""
        registries = self._remotes.registries
        return await inspect_distribution(registries, name=name, auth=x_registry_auth)

    async def system_ping(self) -> SystemPing:
        """What is announced before anything else is asked."""
        return SystemPing(
            api_version=API_VERSION, os_type="linux", experimental=False, builder_version="1"
        )

    async def system_version(self) -> SystemVersion:
        """Versions."""
        return system_version(self._host, self._resources.platform)

    async def system_info(self) -> SystemInfo:
        """Configuration and counts."""
        return system_info(
            self._host,
            self._records.catalogue,
            engine_id=self._records.engine_id,
            root=self._root,
            registries=self._remotes.registries.config.hosts,
            now=self._resources.now(),
            facts=await self._workshop.facts(),
        )

    async def system_data_usage(self, *, types: Sequence[str] = ()) -> SystemDataUsage:
        """Disk use."""
        caches = []
        if not types or "build-cache" in types:
            caches = await build_cache(self._builds.caches)
        containers = []
        if not types or "container" in types:
            containers = await self.container_list(all=True, size=True)
        volumes = []
        if not types or "volume" in types:
            volumes = await with_usage(self._containers)
        return data_usage(
            self._records.catalogue,
            types=frozenset(types),
            build_cache=caches,
            containers=containers,
            volumes=volumes,
            now=self._resources.now(),
        )

    def system_events(
        self, *, since: str = "", until: str = "", filters: Filters | None = None
    ) -> AsyncGenerator[EventMessage, None]:
        """Events, kept and new."""
        return watch_events(
            self._records, since=since, until=until, filters=filters, now=self._resources.now
        )


async def _close(containers: Containers, workshop: Workshop) -> None:
    try:
        await close_containers(containers, 0)
    finally:
        await workshop.close()
