"""The part of `Engine` that is `lamina.image_api.ImageApi`."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from lamina.build.parts import BuildParts
from lamina.build.request import RunSettings
from lamina.engine.build_pruning import prune_build_cache
from lamina.engine.building import BuildParameters, build_operation
from lamina.engine.committing import Commit, commit_container
from lamina.engine.creating import import_tarball, pull_image
from lamina.engine.deletion import Deletion
from lamina.engine.exporting import export_operation
from lamina.engine.image_files import ImageTree, open_image
from lamina.engine.inspecting import image_history, inspect_image
from lamina.engine.listing import list_images
from lamina.engine.pruning import Prunes, prune_event
from lamina.engine.pushing import push_image
from lamina.engine.registries import search_images
from lamina.engine.tagging import tag_image
from lamina.errors import BlobNotFound
from lamina.image_api import (
    Filters,
    MetaHeaders,
    RegistryAuth,
    RegistryConfig as RegistryCredentials,
)
from lamina.models import (
    BuildPruneResponse,
    HistoryResponseItem,
    IdResponse,
    ImageBuildOutput,
    ImageDeleteResponseItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSearchResponseItem,
    ImageSummary,
    Ulimit,
)
from lamina.oci.config import ImageConfig
from lamina.oci.containerconfig import ContainerConfig
from lamina.oci.digest import Digest
from lamina.progress import Operation
from lamina.records.catalogue import Catalogue, Image
from lamina.records.garbage import blobs_of_removed, outdated_layers
from lamina.records.lookup import find_image
from lamina.records.records import Transaction
from lamina.streams import ByteSource, ByteStream
from lamina.transfer.load import load_images
from lamina.transfer.save import save_images


class ImageOperations:
    """Operations on images; see `ImageApi` for what each does."""

    def __init__(self, builds: BuildParts) -> None:
        self._builds = builds
        self._resources = builds.resources
        self._remotes = builds.remotes
        self._records = builds.resources.records
        self._workshop = builds.workshop
        self._image_prunes = Prunes(self._records)

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

        async def prune_and_tell() -> BuildPruneResponse:
            pruned = await prune_build_cache(
                self._builds.caches, keep_storage=keep_storage, filters=filters, now=now
            )
            event = prune_event("builder", pruned.space_reclaimed, now)
            await self._records.change(lambda transaction: transaction.do(event))
            return pruned

        return await self._records.finish(prune_and_tell())

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
        made = await commit_container(self._resources, self._builds.containers, container, wanted)
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
            self._remotes,
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

        async def prune_and_sweep() -> ImagePruneResponse:
            result = await self._records.change(prune)
            await self._records.sweep()
            await self._resources.blobs.sweep_ingests(0)
            await self._workshop.forget_trees()
            await self._builds.indexes.forget(self._records.catalogue.layers.keys())
            return result

        return await self._image_prunes.run(prune_and_sweep)

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
