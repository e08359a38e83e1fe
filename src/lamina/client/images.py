"""The operations on images, over HTTP."""

import contextlib
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from functools import partial

import aiohttp
import msgspec

from lamina.api.messages import MessageReader
from lamina.api.versions import ApiVersion
from lamina.client import replies
from lamina.client.build_steps import StepReader
from lamina.client.connection import Connection, Parameters, image_path
from lamina.client.parameters import (
    as_json,
    auth_header,
    config_header,
    encode_filters,
    given,
    meta_headers,
    number,
)
from lamina.errors import EngineError, InvalidParameter, LaminaError
from lamina.image_api import Filters, MetaHeaders, RegistryAuth, RegistryConfig
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
from lamina.progress import Aux, Event, Operation, Report, StatusLine, StreamText
from lamina.streams import ByteSource, ByteStream

_PULLED = re.compile(r"^Status: (?:Downloaded newer image|Image is up to date) for (\S+)$")
_BUILT_QUIETLY = re.compile(r"(sha256:[0-9a-f]{64})\n")
_LOADED = re.compile(r"^Loaded image(?: ID)?: (.+)$", re.MULTILINE)


class ImageCalls:
    """The `ImageApi` half of a client."""

    _connection: Connection

    async def build_prune(
        self,
        *,
        keep_storage: int = 0,
        all: bool = False,
        filters: Filters | None = None,
    ) -> BuildPruneResponse:
        """Delete what builds have kept beside images."""
        self._connection.require(ApiVersion(1, 31), "build prune")
        params = given(
            all="1" if all else "",
            filters=encode_filters(filters),
            **{"keep-storage": str(keep_storage) if keep_storage else ""},
        )
        return replies.build_pruned(await self._connection.fetch("POST", "/build/prune", params))

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
        """Build an image from a Dockerfile; the result is its ID."""
        params: Parameters = {
            **given(
                dockerfile=dockerfile,
                remote=remote,
                q="1" if q else "",
                nocache="1" if nocache else "",
                pull="1" if pull else "",
                rm="" if rm else "0",
                forcerm="1" if forcerm else "",
                memory=number(memory),
                memswap=number(memswap),
                cpushares=number(cpushares),
                cpusetcpus=cpusetcpus,
                cpusetmems=cpusetmems,
                cpuperiod=number(cpuperiod),
                cpuquota=number(cpuquota),
                shmsize=number(shmsize),
                squash="1" if squash else "",
                networkmode=networkmode,
                platform=platform,
                target=target,
                cgroupparent=cgroupparent,
                cachefrom=as_json(list(cachefrom)),
                buildargs=as_json(dict(buildargs or {})),
                labels=as_json(dict(labels or {})),
                ulimits=as_json(list(ulimits)),
            ),
            "extrahosts": list(extrahosts),
        }
        headers = {
            **auth_header(x_registry_auth),
            "Content-Type": content_type,
            "X-Registry-Config": config_header(x_registry_config),
        }

        async def work(report: Report) -> str:
            if secrets or ssh:
                raise InvalidParameter("secrets and ssh agents cannot be sent to a remote engine")
            if platform:
                self._connection.require(ApiVersion(1, 32), "specify platform")
            build = partial(self._build, params, input_stream, headers=headers, report=report)
            if not outputs:
                return await build(t)
            # An engine of our own is loaded for nobody who has no use for it.
            from lamina.client.outputs import divide, write_outputs  # noqa: PLC0415

            divided = divide(outputs)
            image_id = await build([*t, *divided.names])
            await write_outputs(self, image_id, divided.written, names=t, report=report)
            return image_id

        return Operation(work)

    async def _build(
        self,
        params: Parameters,
        body: ByteSource | None,
        tags: Sequence[str],
        *,
        headers: Mapping[str, str],
        report: Report,
    ) -> str:
        image_id = ""
        steps = StepReader(time.time_ns)
        stream = self._stream("/build", {**params, "t": tags}, body, headers=headers)
        try:
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    for told in (*steps.read(event), event):
                        await report(told)
                    image_id = _built(event) or image_id
        except LaminaError:
            for told in steps.fail():
                await report(told)
            raise
        if not image_id:
            raise EngineError("the engine did not say which image it made")
        return image_id

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
        """Make an image of a container's files and configuration."""
        params: Parameters = {
            "container": container,
            **given(repo=repo, tag=tag, comment=comment, author=author),
            "pause": "1" if pause else "0",
            "changes": list(changes),
        }
        config = None if container_config is None else msgspec.json.encode(container_config)
        return replies.committed(
            await self._connection.fetch("POST", "/commit", params, json=config)
        )

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
        """Pull an image; the result is its familiar reference. Or import; that gives its ID."""
        if from_image:
            headers = {**auth_header(x_registry_auth), **meta_headers(x_meta)}
            return self._pull(from_image, tag, platform, headers)
        params: Parameters = {
            "fromSrc": from_src,
            **given(repo=repo, tag=tag, message=message, platform=platform),
            "changes": list(changes),
        }

        async def work(report: Report) -> str:
            if platform:
                self._connection.require(ApiVersion(1, 32), "specify platform")
            image_id = ""
            stream = self._stream("/images/create", params, input_image)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    await report(event)
                    if isinstance(event, StatusLine) and event.text.startswith("sha256:"):
                        image_id = event.text
            if not image_id:
                raise EngineError("the engine did not say which image it made")
            return image_id

        return Operation(work)

    def _pull(
        self, image: str, tag: str, platform: str, headers: Mapping[str, str]
    ) -> Operation[str]:
        params = {"fromImage": image, **given(tag=tag, platform=platform)}

        async def work(report: Report) -> str:
            if platform:
                self._connection.require(ApiVersion(1, 32), "specify platform")
            pulled = ""
            stream = self._stream("/images/create", params, None, headers=headers)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    await report(event)
                    if isinstance(event, StatusLine) and (match := _PULLED.match(event.text)):
                        pulled = match[1]
            return pulled or image

        return Operation(work)

    def image_load(
        self, images_tarball: ByteSource, *, quiet: bool = False
    ) -> Operation[list[str]]:
        """Load every image of an archive; the result is the loaded names, or IDs without a name."""
        params = {"quiet": "1" if quiet else "0"}

        async def work(report: Report) -> list[str]:
            loaded: list[str] = []
            stream = self._stream("/images/load", params, images_tarball)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    await report(event)
                    if isinstance(event, StreamText):
                        loaded += _LOADED.findall(event.text)
            return loaded

        return Operation(work)

    @contextlib.asynccontextmanager
    async def image_get(self, name: str) -> AsyncIterator[ByteStream]:
        """Export one image, or every tag of a repository, as a tar archive."""
        async with self._connection.open("GET", image_path(name, "/get")) as response:
            yield _Download(self._connection, response)

    @contextlib.asynccontextmanager
    async def image_get_all(self, names: Sequence[str]) -> AsyncIterator[ByteStream]:
        """Export several images as one tar archive in which shared layers stand once."""
        async with self._connection.open("GET", "/images/get", {"names": names}) as response:
            yield _Download(self._connection, response)

    async def image_delete(
        self, name: str, *, force: bool = False, noprune: bool = False
    ) -> list[ImageDeleteResponseItem]:
        """Untag an image and, with its last name, delete it and the untagged parents it frees."""
        params = given(force="1" if force else "", noprune="1" if noprune else "")
        raw = await self._connection.fetch("DELETE", image_path(name, ""), params)
        return replies.deleted(raw)

    async def image_history(self, name: str) -> list[HistoryResponseItem]:
        """The steps which made an image, newest first."""
        return replies.history(await self._connection.fetch("GET", image_path(name, "/history")))

    async def image_inspect(self, name: str) -> ImageInspect:
        """Everything known about an image."""
        return replies.inspect(await self.image_inspect_raw(name))

    async def image_inspect_raw(self, name: str) -> bytes:
        """The engine's own JSON for an image, with whatever an `ImageInspect` has no field for."""
        return await self._connection.fetch("GET", image_path(name, "/json"))

    async def image_list(
        self,
        *,
        all: bool = False,
        filters: Filters | None = None,
        shared_size: bool = False,
        digests: bool = False,
    ) -> list[ImageSummary]:
        """The images, newest first; engines below API 1.42 do not compute shared sizes."""
        params = given(
            all="1" if all else "",
            filters=encode_filters(filters),
            digests="1" if digests else "",
            **{"shared-size": "1" if shared_size else ""},
        )
        return replies.summaries(await self._connection.fetch("GET", "/images/json", params))

    async def image_prune(self, *, filters: Filters | None = None) -> ImagePruneResponse:
        """Delete images that nothing uses."""
        self._connection.require(ApiVersion(1, 25), "image prune")
        params = given(filters=encode_filters(filters))
        return replies.pruned(await self._connection.fetch("POST", "/images/prune", params))

    def image_push(
        self,
        name: str,
        *,
        tag: str = "",
        x_registry_auth: RegistryAuth = "",
        x_meta: MetaHeaders | None = None,
    ) -> Operation[dict[str, str]]:
        """Push a tag or all tags; the result is the digest of each, where the engine tells it."""
        path, params = image_path(name, "/push"), given(tag=tag)
        headers = {**auth_header(x_registry_auth), **meta_headers(x_meta)}

        async def work(report: Report) -> dict[str, str]:
            digests: dict[str, str] = {}
            stream = self._stream(path, params, None, headers=headers)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    await report(event)
                    if isinstance(event, Aux) and "Digest" in event.value:
                        digests[str(event.value.get("Tag", ""))] = str(event.value["Digest"])
            return digests

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
        """Find repositories in a registry."""
        params = {"term": term, "limit": str(limit), **given(filters=encode_filters(filters))}
        headers = {**auth_header(x_registry_auth), **meta_headers(x_meta)}
        raw = await self._connection.fetch("GET", "/images/search", params, headers=headers)
        return replies.search_results(raw)

    async def image_tag(self, name: str, *, repo: str, tag: str = "") -> None:
        """Make ``repo:tag`` another name of an image; an existing tag moves."""
        params = {"repo": repo, **given(tag=tag)}
        await self._connection.fetch("POST", image_path(name, "/tag"), params)

    async def _stream(
        self,
        path: str,
        params: Parameters,
        body: ByteSource | None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event, None]:
        reader = MessageReader()
        opened = self._connection.open("POST", path, params, body=body, headers=headers)
        async with opened as response:
            async with contextlib.aclosing(self._connection.lines(response)) as chunks:
                async for chunk in chunks:
                    for event in reader.feed(chunk):
                        yield event
            for event in reader.close():
                yield event


class _Download:
    """A tar archive on its way; `size` is known where the engine said it beforehand."""

    def __init__(self, connection: Connection, response: aiohttp.ClientResponse) -> None:
        self._connection = connection
        self._response = response

    @property
    def size(self) -> int | None:
        return self._response.content_length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(self._connection.lines(self._response)) as chunks:
            async for chunk in chunks:
                yield chunk


def _built(event: Event) -> str:
    """The ID of an image that a message of a build tells; the last one told is the result."""
    if isinstance(event, Aux):
        return str(event.value.get("ID", ""))
    if isinstance(event, StreamText) and (match := _BUILT_QUIETLY.fullmatch(event.text)):
        return match[1]
    return ""
