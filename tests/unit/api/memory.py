"""A small engine that lives in memory, for tests of the HTTP side: images of made-up content."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lamina.errors import (
    CommandFailed,
    Conflict,
    ContainerNotFound,
    Forbidden,
    ImageNotFound,
    InvalidArchive,
    InvalidFilter,
    InvalidParameter,
    InvalidReference,
    LaminaError,
    NotFound,
)
from lamina.image_api import Filters, MetaHeaders, RegistryAuth
from lamina.models import (
    AuthenticateOK,
    BuildPruneResponse,
    DistributionDescriptor,
    DistributionInspect,
    DistributionPlatform,
    EventActor,
    EventMessage,
    HistoryResponseItem,
    IdResponse,
    ImageDeleteResponseItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSearchResponseItem,
    ImageSummary,
    SystemDataUsage,
    SystemInfo,
    SystemPing,
    SystemVersion,
    VersionComponent,
)
from lamina.oci.containerconfig import ContainerConfig
from lamina.progress import (
    Aux,
    BuildArchive,
    LayerProgress,
    Operation,
    Report,
    StatusLine,
    StreamText,
)
from lamina.streams import ByteSource, ByteStream, chunks_of
from tests.unit.api.memory_containers import MemoryContainers


class Archive:
    """A `ByteStream` over chunks in memory."""

    def __init__(self, chunks: Sequence[bytes], *, size: int | None) -> None:
        self._chunks = chunks
        self.size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@dataclass
class Image:
    id: str
    size: int
    chunks: list[bytes]
    created: int = 1_700_000_000
    labels: dict[str, str] | None = None


@dataclass
class MemoryEngine(MemoryContainers):
    """All that is served; the first four bytes of an archive must be ``tar!``."""

    images: dict[str, Image] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    events: list[EventMessage] = field(default_factory=list)
    received: int = 0
    loads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    """How many chunks of uploads will be taken; a test holds an upload up by using them up."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._news = asyncio.Condition()

    def add(self, tag: str, *chunks: bytes) -> Image:
        digest = hashlib.sha256(b"".join(chunks)).hexdigest()
        image = Image(f"sha256:{digest}", sum(map(len, chunks)), list(chunks))
        self.images[image.id] = image
        if tag:
            self.tags[tag] = image.id
        return image

    def find(self, name: str) -> Image:
        if name in self.images:
            return self.images[name]
        tag = name if ":" in name else f"{name}:latest"
        if tag not in self.tags:
            raise ImageNotFound(tag)
        return self.images[self.tags[tag]]

    def names(self, image: Image) -> list[str]:
        return [tag for tag, id in self.tags.items() if id == image.id]

    async def happen(self, action: str, name: str) -> None:
        actor = EventActor(id=name, attributes={"name": name})
        event = EventMessage(type="image", action=action, actor=actor, time=1, time_nano=10**9)
        async with self._news:
            self.events.append(event)
            self._news.notify_all()

    # ImageApi

    async def build_prune(
        self, *, keep_storage: int = 0, all: bool = False, filters: Filters | None = None
    ) -> BuildPruneResponse:
        self.calls.append(("build_prune", {"keep": keep_storage, "all": all, "filters": filters}))
        return BuildPruneResponse(caches_deleted=["a"], space_reclaimed=1)

    def image_build(
        self, *, input_stream: ByteSource | None = None, **parameters: object
    ) -> Operation[str]:
        """The context is the Dockerfile itself; one that says ``fail`` fails with status 3.

        One that says ``wait`` does so for ever. An archive is the Dockerfile again, in two parts;
        ``break`` fails between them.
        """
        self.calls.append(("build", parameters))

        async def work(report: Report) -> str:
            text = b""
            if input_stream is not None:
                async with contextlib.aclosing(chunks_of(input_stream)) as chunks:
                    text = b"".join([chunk async for chunk in chunks])
            if not text:
                raise InvalidParameter("the Dockerfile (Dockerfile) cannot be empty")
            await report(StreamText(text.decode()))
            if text == b"wait":
                with contextlib.ExitStack() as stack:
                    stack.callback(self.cancelled.append, "image_build")
                    self.calls.append(("wait", None))
                    await asyncio.Event().wait()
            if text == b"fail":
                raise CommandFailed("it failed", code=3)
            image = self.add("", text)
            await report(Aux({"ID": image.id}))
            if parameters["outputs"]:
                await report(BuildArchive(text))
                if text == b"break":
                    raise LaminaError("it broke")
                await report(BuildArchive(text))
            return image.id

        return Operation(work)

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
        self.calls.append(
            (
                "image_commit",
                (container, repo, tag, comment, author, pause, list(changes), container_config),
            )
        )
        if container == "gone":
            raise ContainerNotFound(container)
        return IdResponse(id="sha256:c0")

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
        if from_image:
            self.calls.append(
                ("image_create", (from_image, tag, platform, x_registry_auth, x_meta))
            )
            return self._pull(from_image, tag)
        self.calls.append(("image_create", (from_src, repo, tag, message, list(changes), platform)))

        async def work(report: Report) -> str:
            if repo != repo.lower():
                raise InvalidReference(
                    "invalid reference format: repository name must be lowercase", text=repo
                )
            chunks = []
            if input_image is not None:
                async for chunk in chunks_of(input_image):
                    chunks.append(chunk)
                    self.received += len(chunk)
            image = self.add(f"{repo}:{tag or 'latest'}" if repo else "", *chunks)
            await report(StatusLine(image.id))
            return image.id

        return Operation(work)

    def _pull(self, image: str, tag: str) -> Operation[str]:
        async def work(report: Report) -> str:
            if image == "scratch":
                raise Forbidden("'scratch' is a reserved name")
            await report(StatusLine(f"Pulling from {image}", id=tag))
            return f"{image}:{tag}"

        return Operation(work)

    async def image_delete(
        self, name: str, *, force: bool = False, noprune: bool = False
    ) -> list[ImageDeleteResponseItem]:
        self.calls.append(("image_delete", (name, force, noprune)))
        image = self.find(name)
        names = self.names(image)
        if len(names) > 1 and not force:
            raise Conflict(f"conflict: unable to delete {image.id[7:19]} (must be forced)")
        for tag in names:
            del self.tags[tag]
        del self.images[image.id]
        deleted = [ImageDeleteResponseItem(untagged=tag) for tag in names]
        return [*deleted, ImageDeleteResponseItem(deleted=image.id)]

    @asynccontextmanager
    async def image_get(self, name: str) -> AsyncIterator[ByteStream]:
        image = self.find(name)
        try:
            yield Archive(image.chunks, size=image.size)
        except BaseException:
            self.cancelled.append("image_get")
            raise

    @asynccontextmanager
    async def image_get_all(self, names: Sequence[str]) -> AsyncIterator[ByteStream]:
        self.calls.append(("image_get_all", list(names)))
        images = [self.find(name) for name in names]
        yield Archive([chunk for image in images for chunk in image.chunks], size=None)

    async def image_history(self, name: str) -> list[HistoryResponseItem]:
        image = self.find(name)
        return [HistoryResponseItem(id=image.id, size=image.size, tags=self.names(image))]

    async def image_inspect(self, name: str) -> ImageInspect:
        image = self.find(name)
        return ImageInspect(id=image.id, repo_tags=self.names(image), size=image.size)

    async def image_list(
        self,
        *,
        all: bool = False,
        filters: Filters | None = None,
        shared_size: bool = False,
        digests: bool = False,
    ) -> list[ImageSummary]:
        self.calls.append(("image_list", (all, filters, shared_size, digests)))
        for name in filters or {}:
            if name not in {"reference", "dangling"}:
                raise InvalidFilter(f"invalid filter '{name}'", name=name)
        return [
            ImageSummary(
                id=image.id,
                created=image.created,
                labels=image.labels,
                repo_tags=self.names(image),
                size=image.size,
            )
            for image in self.images.values()
        ]

    def image_load(
        self, images_tarball: ByteSource, *, quiet: bool = False
    ) -> Operation[list[str]]:
        self.calls.append(("image_load", quiet))

        async def work(report: Report) -> list[str]:
            chunks: list[bytes] = []
            try:
                async for chunk in chunks_of(images_tarball):
                    await self.loads.acquire()
                    if not chunks and chunk[:4] != b"tar!":
                        raise InvalidArchive("unrecognized image format")  # noqa: TRY301
                    self.received += len(chunk)
                    # What is kept is little, so that a test can tell the server's memory.
                    chunks.append(chunk[:16])
                    if not quiet:
                        await report(LayerProgress("a1b2c3", "Loading layer", self.received))
            except BaseException:
                self.cancelled.append("image_load")
                raise
            if not chunks:
                raise InvalidArchive("unrecognized image format")
            image = self.add("loaded:1", *chunks)
            await report(StreamText("Loaded image: loaded:1\n"))
            await self.happen("load", image.id)
            return ["loaded:1"]

        return Operation(work)

    async def image_prune(self, *, filters: Filters | None = None) -> ImagePruneResponse:
        self.calls.append(("image_prune", filters))
        return ImagePruneResponse()

    def image_push(
        self,
        name: str,
        *,
        tag: str = "",
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> Operation[dict[str, str]]:
        self.calls.append(("image_push", (name, tag, x_registry_auth, x_meta)))

        async def work(report: Report) -> dict[str, str]:
            if name != name.lower():
                raise InvalidReference(
                    "invalid reference format: repository name must be lowercase", text=name
                )
            await report(StatusLine(f"The push refers to repository [docker.io/library/{name}]"))
            if tag not in {"", "1"}:
                raise NotFound(f"tag does not exist: {name}:{tag}")
            await report(Aux({"Tag": "1", "Digest": "sha256:d", "Size": 1}, is_progress=True))
            return {"1": "sha256:d"}

        return Operation(work)

    async def image_search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Filters | None = None,
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> list[ImageSearchResponseItem]:
        self.calls.append(("image_search", (term, limit, filters, x_registry_auth, x_meta)))
        return [ImageSearchResponseItem(name=term, star_count=3, is_official=True)]

    async def image_tag(self, name: str, *, repo: str, tag: str = "") -> None:
        if not repo:
            raise InvalidReference
        image = self.find(name)
        self.tags[f"{repo}:{tag or 'latest'}"] = image.id
        await self.happen("tag", f"{repo}:{tag or 'latest'}")

    # SystemApi

    async def system_auth(self, auth_config: RegistryAuth) -> AuthenticateOK:
        self.calls.append(("system_auth", auth_config))
        return AuthenticateOK(status="Login Succeeded")

    async def distribution_inspect(
        self, name: str, *, x_registry_auth: RegistryAuth = ""
    ) -> DistributionInspect:
        self.calls.append(("distribution_inspect", (name, x_registry_auth)))
        return DistributionInspect(
            descriptor=DistributionDescriptor(media_type="m", digest="sha256:d", size=1),
            platforms=[DistributionPlatform(os="linux", architecture="arm64", variant="v8")],
        )

    async def system_ping(self) -> SystemPing:
        return SystemPing(api_version="", os_type="linux", experimental=False, builder_version="1")

    async def system_version(self) -> SystemVersion:
        details = {"ApiVersion": "", "Arch": "amd64", "MinAPIVersion": ""}
        engine = VersionComponent(name="Engine", version="0.1", details=details)
        return SystemVersion(
            version="0.1", api_version="", min_api_version="", arch="amd64", components=[engine]
        )

    async def system_info(self) -> SystemInfo:
        return SystemInfo(id="memory", images=len(self.images))

    async def system_data_usage(self, *, types: Sequence[str] = ()) -> SystemDataUsage:
        self.calls.append(("system_data_usage", list(types)))
        return SystemDataUsage(images=await self.image_list())

    async def system_events(
        self,
        *,
        since: str = "",
        until: str = "",
        filters: Filters | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[EventMessage, None]:
        if since == "never":
            raise InvalidParameter("invalid value for since")
        seen = 0
        with contextlib.ExitStack() as stack:
            stack.callback(self.cancelled.append, "system_events")
            while True:
                for event in self.events[seen:]:
                    seen += 1
                    yield event
                if until:
                    return
                async with self._news:
                    if seen == len(self.events):
                        await self._news.wait()
