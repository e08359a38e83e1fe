"""What a build takes from the cache, on three backends."""

import io
import itertools
from collections.abc import Sequence

from lamina.progress import StreamText
from tests.conformance.builds import Ids, Parameters, context, family, transcript, with_busybox
from tests.conformance.engines import Backend, EngineApi, saved

DOCKERFILE = """FROM busybox
ARG version=1
ENV A=$version
COPY a /
RUN echo $version > /b
WORKDIR /w
CMD ["x"]
"""


async def said(
    api: EngineApi, dockerfile: str, parameters: Parameters, files: dict[str, str]
) -> list[str]:
    lines, _ = await transcript(api, context(dockerfile, files), Ids(), parameters)
    return lines


def hits(lines: Sequence[str]) -> list[str]:
    """Which steps were taken from the cache."""
    found = []
    for before, line in itertools.pairwise(lines):
        if before.startswith("Step"):
            found.append(before.split()[3])
        if line == " ---> Using cache\n":
            found.append("cached")
    return found


async def test_what_makes_a_step_another_one(backend: Backend) -> None:
    variants: list[tuple[str, Parameters, dict[str, str]]] = [
        (DOCKERFILE, {}, {"a": "1"}),
        (DOCKERFILE, {}, {"a": "1", "other": "2"}),
        (DOCKERFILE, {}, {"a": "2"}),
        (DOCKERFILE, {"buildargs": {"version": "2"}}, {"a": "1"}),
        (DOCKERFILE, {"buildargs": {"HTTP_PROXY": "p"}}, {"a": "1"}),
        (DOCKERFILE, {"labels": {"l": "m"}}, {"a": "1"}),
        (DOCKERFILE.replace("WORKDIR /w", "WORKDIR /v"), {}, {"a": "1"}),
        (DOCKERFILE.replace("ARG", "# a comment\narg"), {}, {"a": "1"}),
        (DOCKERFILE.replace("echo $v", "echo  $v"), {}, {"a": "1"}),
        (DOCKERFILE, {"nocache": True}, {"a": "1"}),
        (DOCKERFILE, {}, {"a": "1"}),
    ]

    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        return [hits(await said(api, *variant)) for variant in variants]

    await backend.agrees(scenario)


async def test_every_stage_is_looked_for_anew(backend: Backend) -> None:
    stages = (
        "FROM busybox AS one\nENV a={}\nENV b=1\nFROM busybox\nENV c=1\nCOPY --from=one /etc /e"
    )

    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        return [hits(await said(api, stages.format(n), {}, {})) for n in (1, 2, 1)]

    await backend.agrees(scenario)


async def test_from_an_image_that_was_loaded(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        files = {"a": "1"}
        await transcript(api, context(DOCKERFILE, files), Ids(), {"t": ["cache:1"]})
        archive = await saved(api, "cache:1")
        await api.image_delete("cache:1", force=True)
        await api.image_prune(filters={"dangling": True})
        await api.image_load(io.BytesIO(archive), quiet=True)
        from_it: Parameters = {"cachefrom": ["cache:1", "not/there:1"]}
        ids = Ids()
        first, whole = await transcript(api, context(DOCKERFILE, files), ids, from_it)
        more = DOCKERFILE + "ENV more=1\n"
        second = hits(await said(api, more, from_it, files))
        other = hits(await said(api, DOCKERFILE, from_it, {"a": "2"}))
        return hits(first), await family(api, whole, ids), second, other

    # dockerd asks Docker Hub for nothing: an image that is not there is passed over.
    await backend.agrees(scenario)


async def test_from_other_images_than_the_local_ones(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        files = {"a": "1"}
        await transcript(api, context(DOCKERFILE, files), Ids(), {"t": ["mine:1"]})
        return [
            hits(await said(api, DOCKERFILE, {"cachefrom": [name]}, files))
            for name in ("busybox", "mine:1")
        ]

    await backend.agrees(scenario)


async def test_deleted_images_are_no_cache(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        files = {"a": "1"}
        operation = api.image_build(input_stream=context(DOCKERFILE, files), t=["mine:1"])
        texts = [event.text async for event in operation if isinstance(event, StreamText)]
        assert texts[-1] == "Successfully tagged mine:1\n"
        await api.image_delete("mine:1")
        return hits(await said(api, DOCKERFILE, {}, files))

    await backend.agrees(scenario)
