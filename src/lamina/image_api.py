"""`ImageApi`: the Docker Engine Image API v1.42 as one Protocol.

`lamina.Engine` (in this process) and `lamina.Client` (any Docker Engine over HTTP) implement it, so
what is written against one runs against the other. Operation and parameter names are those of the
API's own document; `filters` is a mapping of filter names to one value or several.

Operations that report progress give an `Operation`: iterate it for events, await it for its result.
All raise the exceptions of `lamina.errors` with the message that a dockerd gives.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
from lamina.oci.containerconfig import ContainerConfig
from lamina.progress import Operation
from lamina.streams import ByteSource, ByteStream

Filters = Mapping[str, str | bool | Sequence[str]]
"""Filters as a caller writes them: ``{"dangling": True, "label": ["a", "b=c"]}``."""


RegistryAuth = str | Mapping[str, str]
"""Credentials for a registry: the text of an ``X-Registry-Auth`` header, or what is in it.

That is ``username`` and ``password``, ``identitytoken`` or ``registrytoken``. Empty: none, or those
that the engine has of its own.
"""


MetaHeaders = Mapping[str, str]
"""What a registry is told beside every request: ``{"Build": "7"}`` is ``X-Meta-Build: 7``."""


RegistryConfig = str | Mapping[str, Mapping[str, str]]
"""Credentials by registry: the text of an ``X-Registry-Config`` header, or what is in it."""


class ImageApi(Protocol):
    """The operations on images."""

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
        """Make an image of a container's files and configuration; the result is the image's ID.

        `repo` and `tag` name the image, `changes` are Dockerfile instructions, `pause` holds a
        running container up meanwhile. `container_config` takes the place of the container's own
        configuration, which fills in what it leaves empty.
        Raises ContainerNotFound, InvalidParameter (reference, change), Conflict (being removed).
        """
        ...

    async def build_prune(
        self,
        *,
        keep_storage: int = 0,
        all: bool = False,
        filters: Filters | None = None,
    ) -> BuildPruneResponse:
        """Delete what builds have kept beside images: the contents of cache mounts.

        Of what no build uses, the longest unused goes first, until `keep_storage` bytes are left;
        without `all` only what is dangling. Filters: until, unused-for, id, parent, type,
        description, inuse, shared, private, and label, which nothing has that builds keep.
        Raises InvalidFilter, InvalidParameter.
        """
        ...

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
        content_type: str = "application/x-tar",
        x_registry_config: RegistryConfig = "",
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
        """Build an image from a Dockerfile; the result is its ID.

        `input_stream` is the context: a tar archive, plain or compressed (gzip, bzip2, xz, zstd),
        whatever `content_type` says; or `remote` is the URL of a Dockerfile, of such an archive, or
        of a git repository (``url#ref:directory``). `dockerfile` is a path in it. Sizes in bytes,
        CPU times in microseconds; 0 and empty mean no limit. A value of None in `buildargs` counts
        as not given. `secrets` (bytes, or a file) and `ssh` (an agent's socket) are what ``RUN
        --mount`` may ask for by ID; they are not sent over HTTP, which has no place for them.

        `outputs` are written on the caller's machine: ``image`` gives more names (``name``);
        ``docker`` and ``oci`` are an archive of the image, in which it has the names `t`, ``tar``
        is its files as one tar, ``local`` in a directory. ``dest`` is the path, or ``-`` for
        `BuildArchive` events, which one output may have. ``cacheonly`` is a build without more.

        The container of a RUN that ends badly stays, to be looked into, but with `forcerm`; without
        `rm` those of all steps do.

        Raises InvalidParameter (Dockerfile, target, names), LaminaError where the Dockerfile is not
        to be found, CommandFailed for a RUN that ends badly.
        """
        ...

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
        """Pull an image out of a registry, or import a root filesystem tarball as one.

        Pull: `from_image` is the name; `tag` a tag or digest, which may be part of the name too;
        with neither all tags are pulled. `platform` is chosen from multi-platform images. The
        result is the familiar reference. Raises InvalidParameter, NotFound, Unauthorized.

        Import: `from_src` is ``-`` for the bytes of `input_image`, or a URL that the engine
        fetches; `repo` and `tag` name the image; `changes` are Dockerfile instructions. The result
        is the image's ID. Raises InvalidParameter (bad reference, change or platform).
        """
        ...

    async def image_delete(
        self, name: str, *, force: bool = False, noprune: bool = False
    ) -> list[ImageDeleteResponseItem]:
        """Untag an image and, with its last reference, delete it and the untagged parents it frees.

        Raises ImageNotFound, Conflict (children, containers, several repositories).
        """
        ...

    def image_get(self, name: str) -> AbstractAsyncContextManager[ByteStream]:
        """Export one image, or every tag of a repository, as a tar archive."""
        ...

    def image_get_all(self, names: Sequence[str]) -> AbstractAsyncContextManager[ByteStream]:
        """Export several images as one tar archive in which shared layers stand once."""
        ...

    async def image_history(self, name: str) -> list[HistoryResponseItem]:
        """The steps which made an image, newest first. Raises ImageNotFound."""
        ...

    async def image_inspect(self, name: str) -> ImageInspect:
        """Everything known about an image. Raises ImageNotFound."""
        ...

    async def image_list(
        self,
        *,
        all: bool = False,
        filters: Filters | None = None,
        shared_size: bool = False,
        digests: bool = False,
    ) -> list[ImageSummary]:
        """The images, newest first. Filters: before, dangling, label, reference, since, until.

        Raises InvalidFilter, ImageNotFound (an image that `before` or `since` names).
        """
        ...

    def image_load(
        self, images_tarball: ByteSource, *, quiet: bool = False
    ) -> Operation[list[str]]:
        """Load every image of an archive; the result is the loaded names, or IDs without a name.

        Raises InvalidArchive and other CorruptData errors; then nothing of it was loaded.
        """
        ...

    async def image_prune(self, *, filters: Filters | None = None) -> ImagePruneResponse:
        """Delete images that nothing uses. Filters: dangling, until, label, label!.

        Raises InvalidFilter.
        """
        ...

    def image_push(
        self,
        name: str,
        *,
        tag: str = "",
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> Operation[dict[str, str]]:
        """Push a tag, or all tags of a repository; the result is the digest of each tag.

        A bad name is InvalidReference; what a registry refuses is an error in its words.
        """
        ...

    async def image_search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Filters | None = None,
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> list[ImageSearchResponseItem]:
        """Find repositories, on Docker Hub or on the registry that `term` begins with.

        Filters: is-automated, is-official, stars. Raises InvalidParameter, InvalidFilter.
        """
        ...

    async def image_tag(self, name: str, *, repo: str, tag: str = "") -> None:
        """Make ``repo:tag`` another name of an image (``latest`` if there is no tag).

        A tag that exists moves.
        """
        ...
