"""`Engine`: `ImageApi` and `SystemApi` on a data root, in this process."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

from lamina import __version__
from lamina.build.cache_mounts import CacheMounts
from lamina.build.parts import BuildParts
from lamina.build.request import RunSettings
from lamina.build.scratch import sweep_left_overs
from lamina.containers.containers import Containers, Parts
from lamina.containers.recovery import close_containers, recover_containers
from lamina.content.local import LocalStore
from lamina.default_root import default_root
from lamina.engine.build_pruning import build_cache, prune_build_cache, tell_pruned
from lamina.engine.building import BuildParameters, build_operation
from lamina.engine.committing import Commit, commit_container
from lamina.engine.container_operations import ContainerOperations
from lamina.engine.creating import import_tarball, pull_image
from lamina.engine.deletion import Deletion
from lamina.engine.exporting import export_operation
from lamina.engine.image_files import ImageTree, open_image
from lamina.engine.inspecting import image_history, inspect_image
from lamina.engine.listing import list_images
from lamina.engine.pushing import push_image
from lamina.engine.registries import authenticate, inspect_distribution, search_images
from lamina.engine.system import (
    API_VERSION,
    Host,
    data_usage,
    system_info,
    system_version,
)
from lamina.engine.tagging import tag_image
from lamina.engine.volumes import with_usage
from lamina.engine.watching import watch_events
from lamina.errors import BlobNotFound, Conflict
from lamina.image_api import (
    Filters,
    MetaHeaders,
    RegistryAuth,
    RegistryConfig as RegistryCredentials,
)
from lamina.layers.compression import Compression
from lamina.models import (
    AuthenticateOK,
    BuildPruneResponse,
    DistributionInspect,
    EventMessage,
    HistoryResponseItem,
    IdResponse,
    ImageBuildOutput,
    ImageDeleteResponseItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSearchResponseItem,
    ImageSummary,
    SystemDataUsage,
    SystemInfo,
    SystemPing,
    SystemVersion,
    Ulimit,
)
from lamina.oci.config import ImageConfig
from lamina.oci.containerconfig import ContainerConfig
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform, host
from lamina.progress import Operation
from lamina.records.catalogue import Catalogue, Image
from lamina.records.configs import ImageConfigs
from lamina.records.garbage import blobs_of_removed, outdated_layers
from lamina.records.lookup import find_image
from lamina.records.records import Records, Transaction
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.credentials import CredentialSource
from lamina.runtime.workshop import Workshop
from lamina.streams import ByteSource, ByteStream
from lamina.transfer.layer_indexes import LayerIndexes
from lamina.transfer.load import load_images
from lamina.transfer.remotes import DOWNLOADS, UPLOADS, Remotes
from lamina.transfer.resources import Resources
from lamina.transfer.save import save_images

_UNFINISHED_LIFE = 7 * 24 * 3600
"""Seconds for which what a broken-off pull has is kept."""


class Engine(ContainerOperations):
    """An engine on a data root. Any number of them, in any processes, may share one root.

    All of it belongs to the event loop it was opened on.
    """

    def __init__(
        self,
        root: Path,
        resources: Resources,
        remotes: Remotes,
        *,
        workshop: Workshop,
        builds: BuildParts,
        containers: Containers,
    ) -> None:
        super().__init__(containers)
        self._root = root
        self._workshop = workshop
        self._resources = resources
        self._remotes = remotes
        self._builds = builds
        self._records = resources.records
        self._host = Host.read()
        self._pruning = False

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
                engine = cls(
                    root,
                    resources,
                    remotes,
                    workshop=workshop,
                    builds=builds,
                    containers=containers,
                )
                await engine._forget_unfinished()
                await recover_containers(containers)
                yield engine
            finally:
                await close_containers(containers, 0)
                await workshop.close()

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

    # Images; see `lamina.image_api.ImageApi` for what each does.

    async def build_prune(
        self,
        *,
        keep_storage: int = 0,
        all: bool = False,
        filters: Filters | None = None,
    ) -> BuildPruneResponse:
        """Delete what builds have kept beside images."""
        del all  # There is only one type of cache.
        now = self._resources.now()
        pruned = await prune_build_cache(
            self._builds.caches, keep_storage=keep_storage, filters=filters, now=now
        )
        await self._records.change(lambda transaction: tell_pruned(transaction, pruned, now))
        return pruned

    def image_build(
        self,
        *,
        dockerfile: str = "Dockerfile",
        t: Sequence[str] = (),
        extrahosts: Sequence[str] = (),
        remote: str = "",
        q: bool = False,
        nocache: bool = False,
        cachefrom: Sequence[str] = (),
        pull: bool = False,
        rm: bool = True,
        forcerm: bool = False,
        memory: int = 0,
        memswap: int = 0,
        cpushares: int = 0,
        cpusetcpus: str = "",
        cpusetmems: str = "",
        cpuperiod: int = 0,
        cpuquota: int = 0,
        buildargs: Mapping[str, str | None] | None = None,
        shmsize: int = 0,
        squash: bool = False,
        labels: Mapping[str, str] | None = None,
        networkmode: str = "",
        content_type: str = "application/x-tar",  # noqa: ARG002 - the bytes tell what they are
        x_registry_config: RegistryCredentials = "",
        platform: str = "",
        target: str = "",
        outputs: Sequence[ImageBuildOutput] = (),
        input_stream: ByteSource | None = None,
        ulimits: Sequence[Ulimit] = (),
        cgroupparent: str = "",
        x_registry_auth: RegistryAuth = "",
        secrets: Mapping[str, bytes | os.PathLike[str]] | None = None,
        ssh: Mapping[str, os.PathLike[str]] | None = None,
    ) -> Operation[str]:
        """Build an image from a Dockerfile."""
        wanted = BuildParameters(
            dockerfile=dockerfile,
            remote=remote,
            tags=t,
            target=target,
            platform=platform,
            arguments=buildargs or {},
            labels=labels or {},
            quiet=q,
            nocache=nocache,
            pull=pull,
            remove=rm,
            remove_always=forcerm,
            squash=squash,
            cache_from=cachefrom,
            outputs=outputs,
            run=RunSettings(
                memory=memory,
                memory_swap=memswap,
                cpu_shares=cpushares,
                cpu_period=cpuperiod,
                cpu_quota=cpuquota,
                cpuset_cpus=cpusetcpus,
                cpuset_mems=cpusetmems,
                shm_size=shmsize,
                ulimits=tuple(ulimits),
                cgroup_parent=cgroupparent,
                network=networkmode,
                extra_hosts=tuple(extrahosts),
            ),
            registry_config=x_registry_config,
            registry_auth=x_registry_auth,
            secrets=secrets or {},
            ssh=ssh or {},
        )
        return build_operation(self._builds, wanted, input_stream)

    async def image_commit(
        self,
        container: str,
        *,
        repo: str = "",
        tag: str = "",
        comment: str = "",
        author: str = "",
        pause: bool = True,
        changes: Sequence[str] = (),
        container_config: ContainerConfig | None = None,
    ) -> IdResponse:
        """Make an image of a container."""
        wanted = Commit.check(
            repo=repo,
            tag=tag,
            comment=comment,
            author=author,
            pause=pause,
            changes=changes,
            config=container_config,
        )
        made = await commit_container(self._resources, self._containers, container, wanted)
        return IdResponse(id=str(made))

    def image_create(
        self,
        *,
        from_image: str = "",
        from_src: str = "",
        repo: str = "",
        tag: str = "",
        message: str = "",
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
        changes: Sequence[str] = (),
        platform: str = "",
        input_image: ByteSource | None = None,
    ) -> Operation[str]:
        """Pull an image, or import a root filesystem tarball as one."""
        if from_image:
            return pull_image(
                self._resources,
                self._remotes,
                image=from_image,
                tag=tag,
                platform=platform,
                auth=x_registry_auth,
                meta=x_meta,
            )
        return import_tarball(
            self._resources,
            source=from_src,
            repo=repo,
            tag=tag,
            message=message,
            changes=changes,
            platform=platform,
            body=input_image,
        )

    async def image_delete(
        self, name: str, *, force: bool = False, noprune: bool = False
    ) -> list[ImageDeleteResponseItem]:
        """Untag or delete an image; blobs that nothing else needs are gone when this returns."""
        now = self._resources.now()

        def delete(
            transaction: Transaction,
        ) -> tuple[list[ImageDeleteResponseItem], frozenset[Digest]]:
            deletion = Deletion(transaction.catalogue, now)
            items = deletion.delete(name, force=force, noprune=noprune)
            transaction.do_all(deletion.changes)
            return items, blobs_of_removed(transaction.catalogue, deletion.changes)

        async def delete_and_sweep() -> list[ImageDeleteResponseItem]:
            items, garbage = await self._records.change(delete)
            if garbage:
                await self._records.sweep(garbage)
                await self._workshop.forget_trees()
            return items

        return await self._records.finish(delete_and_sweep())

    def image_get(self, name: str) -> AbstractAsyncContextManager[ByteStream]:
        """Export one image."""
        return self.image_get_all([name])

    def image_get_all(self, names: Sequence[str]) -> AbstractAsyncContextManager[ByteStream]:
        """Export several images as one archive."""
        return save_images(self._resources, names)

    def image_files(self, name: str) -> AbstractAsyncContextManager[ImageTree]:
        """Look into an image without unpacking it: list, read and compare its files.

        Only an engine in this process can: the Docker Engine API has nothing like it. Raises
        ImageNotFound, InvalidReference.
        """
        builds = self._builds
        return open_image(self._resources, builds.indexes, builds.directory, name)

    def image_export(
        self, name: str, *, outputs: Sequence[ImageBuildOutput], names: Sequence[str] = ()
    ) -> Operation[None]:
        """Write an image, or its files, as the `outputs` of a build are written.

        In archives it has `names`. Only an engine in this process can. Raises ImageNotFound,
        InvalidParameter, InvalidReference, OSError.
        """
        return export_operation(self._builds, name, outputs=outputs, names=names)

    async def image_history(self, name: str) -> list[HistoryResponseItem]:
        """The steps which made an image."""
        catalogue, image, config = await self._find(name)
        return image_history(catalogue, image, config)

    async def image_inspect(self, name: str) -> ImageInspect:
        """Everything known about an image."""
        return inspect_image(*await self._find(name))

    async def image_list(
        self,
        *,
        all: bool = False,
        filters: Filters | None = None,
        shared_size: bool = False,
        digests: bool = False,  # noqa: ARG002 - names by digest are always given, as in dockerd
    ) -> list[ImageSummary]:
        """The images, newest first."""
        return list_images(
            self._records.catalogue,
            all_images=all,
            filters=filters,
            shared_size=shared_size,
            now=self._resources.now(),
        )

    def image_load(
        self, images_tarball: ByteSource, *, quiet: bool = False
    ) -> Operation[list[str]]:
        """Load every image of an archive."""
        return Operation(
            lambda report: load_images(self._resources, images_tarball, quiet=quiet, report=report)
        )

    async def image_prune(self, *, filters: Filters | None = None) -> ImagePruneResponse:
        """Delete images that nothing uses, and everything else that nothing needs."""
        now = self._resources.now()

        def prune(transaction: Transaction) -> ImagePruneResponse:
            deletion = Deletion(transaction.catalogue, now)
            result = deletion.prune(filters)
            transaction.do_all(deletion.changes)
            transaction.do_all(list(outdated_layers(transaction.catalogue, now)))
            return result

        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            result = await self._records.change(prune)
            await self._records.sweep()
            await self._resources.blobs.sweep_ingests(0)
            await self._workshop.forget_trees()
            await self._builds.indexes.forget(self._records.catalogue.layers.keys())
            return result
        finally:
            self._pruning = False

    def image_push(
        self,
        name: str,
        *,
        tag: str = "",
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> Operation[dict[str, str]]:
        """Push a tag or all tags; the result is the digest of each."""
        return push_image(
            self._resources,
            self._remotes,
            name=name,
            tag=tag,
            auth=x_registry_auth,
            meta=x_meta,
        )

    async def image_search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Filters | None = None,
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> list[ImageSearchResponseItem]:
        """Find repositories in a registry."""
        registries = self._remotes.registries
        return await search_images(
            registries,
            term=term,
            limit=limit,
            filters=filters,
            auth=x_registry_auth,
            meta=x_meta,
        )

    async def image_tag(self, name: str, *, repo: str, tag: str = "") -> None:
        """Give an image another name."""
        now = self._resources.now()
        await self._records.change(lambda transaction: tag_image(transaction, name, repo, tag, now))

    async def _find(self, name: str) -> tuple[Catalogue, Image, ImageConfig]:
        """The image that `name` means, its configuration, and the records at that moment."""
        while True:
            catalogue = self._records.catalogue
            image = find_image(catalogue, name)
            if (config := self._resources.configs.cached(image.id)) is not None:
                return catalogue, image, config
            try:
                await self._resources.configs.get(image.id)
            except BlobNotFound:
                # Deleted while we looked, or else lost.
                if image.id in self._records.catalogue.images:
                    raise

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
