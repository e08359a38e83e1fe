"""What an engine tells about itself, through the same interface on three backends."""

import asyncio
import io
import time
from typing import Any

from lamina.errors import InvalidParameter
from lamina.models import EventMessage
from tests.conformance.engines import Backend, EngineApi, load, plain, refused, saved
from tests.conformance.stock import (
    DANGLING,
    LABELLED,
    MIDDLE,
    PARENT,
    PLAIN,
    SECOND,
    family_archive,
)


async def test_ping_and_version(backend: Backend) -> None:
    async with backend.opened() as api:
        ping, version = await api.system_ping(), await api.system_version()
        assert ping.api_version == version.api_version
        assert (ping.os_type, version.os) == ("linux", "linux")
        assert version.components[0].name == "Engine"

    async def scenario(api: EngineApi) -> object:
        told = await api.system_version()
        return told.os, told.arch, told.kernel_version

    await backend.agrees(scenario)


async def test_info_counts_images(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        empty = await api.system_info()
        await load(api, PLAIN, "a:1", "a:2")
        await api.image_load(io.BytesIO(family_archive()), quiet=True)
        info = await api.system_info()
        assert (empty.images, info.images) == (0, 4)
        assert info.images == len(await api.image_list(all=True))
        same = ("os_type", "architecture", "ncpu", "mem_total", "kernel_version", "name")
        # dockerd knows more log drivers than are here.
        assert info.plugins["Log"] is not None
        assert "json-file" in info.plugins["Log"]
        return [info.plugins["Volume"], *(getattr(info, field) for field in same)]

    await backend.agrees(scenario)


async def test_disk_usage(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PARENT, "a:1")
        await load(api, MIDDLE, "b:1", "b:2")
        await load(api, LABELLED, "c:1")
        await load(api, DANGLING)
        usage = await api.system_data_usage()
        images = plain(usage.images)
        assert [image["Containers"] for image in images] == [0] * 4
        images.sort(key=lambda image: str(image["Id"]))
        only = await api.system_data_usage(types=["container"])
        assert (only.layers_size, only.images) == (0, None)
        return usage.layers_size, images

    await backend.agrees(scenario)


def told(event: EventMessage) -> tuple[object, ...]:
    return event.type, event.action, event.actor.id, event.actor.attributes, event.scope


async def kept(api: EngineApi, since: float, **filters: str) -> list[EventMessage]:
    """Events from `since` to this moment."""
    until = f"{time.time():.9f}"
    return [e async for e in api.system_events(since=f"{since:.9f}", until=until, filters=filters)]


async def test_events_of_every_operation(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        since = time.time()
        await load(api, LABELLED, "a:1", "b:1")
        await api.image_tag("a:1", repo="c", tag="2")
        await saved(api, ["a:1"])
        await saved(api, LABELLED.id)
        await api.image_delete("b:1")
        await api.image_delete(LABELLED.id, force=True)
        await load(api, DANGLING)
        await api.image_prune()
        await api.image_load(io.BytesIO(family_archive()), quiet=True)
        await api.image_delete("child:1")
        events = await kept(api, since, type="image")
        assert all(since - 1 < e.time_nano / 1e9 < time.time() + 1 for e in events)
        assert [e.time_nano for e in events] == sorted(e.time_nano for e in events)
        assert [e.action for e in events][:3] == ["load", "tag", "save"]
        return [told(event) for event in events]

    await backend.agrees(scenario)


async def test_events_of_an_import(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        since = time.time()
        operation = api.image_create(
            from_src="-", input_image=io.BytesIO(SECOND), repo="a:1", changes=["LABEL x=y"]
        )
        image_id = await operation
        events = await kept(api, since)
        attributes = [
            {k: v.replace(image_id, "ID") for k, v in e.actor.attributes.items()} for e in events
        ]
        assert {e.actor.id for e in events} == {image_id}
        return [(e.action, a) for e, a in zip(events, attributes, strict=True)]

    await backend.agrees(scenario)


async def test_event_filters(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        since = time.time()
        await load(api, LABELLED, "a:1")
        await load(api, PLAIN, "b:1")
        await api.image_tag("a:1", repo="c", tag="latest")
        await api.image_tag("b:1", repo="d", tag="latest")
        until = f"{time.time():.9f}"
        filters: list[dict[str, Any]] = [
            {"event": "tag"},
            {"event": ["load", "untag"]},
            {"type": "image"},
            {"type": "container"},
            {"image": "c"},
            {"image": "c:latest"},
            {"image": LABELLED.id},
            {"image": ["c", "d"]},
            {"label": "colour"},
            {"label": "colour=blue"},
            {"label": "colour=red"},
            {"event": "tag", "label": "colour"},
        ]
        found = []
        for one in filters:
            stream = api.system_events(since=f"{since:.9f}", until=until, filters=one)
            found.append((str(one), [told(event) async for event in stream]))
        assert [len(events) for _, events in found][:4] == [2, 2, 4, 0]
        return found

    await backend.agrees(scenario)


async def test_events_arrive_as_they_happen(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        stream = api.system_events(since=f"{time.time():.9f}", filters={"event": ["load", "tag"]})
        first = asyncio.ensure_future(anext(stream))
        await load(api, PLAIN, "a:1")
        events = [await first]
        await api.image_tag("a:1", repo="b", tag="1")
        events.append(await anext(stream))
        await stream.aclose()
        return [told(event) for event in events]

    await backend.agrees(scenario)


async def test_events_refuse_times_that_contradict(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        stream = api.system_events(since="20", until="10")
        return await refused(anext(stream), InvalidParameter)

    await backend.agrees(scenario)
