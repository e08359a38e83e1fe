"""The three backends of the contract: Engine, Client → `lamina serve`, Client → dockerd.

A test tells a scenario: calls on an empty engine, assertions, and what it returns for comparison.
On dockerd the assertions alone prove what the API is; on the other two the scenario's value must
also be what the same scenario gives on dockerd.
"""

import contextlib
import io
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from lamina.client import Client
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.image_api import ImageApi
from lamina.system_api import SystemApi
from tests.conformance.wire import assert_alike, empty
from tests.real.archives import docker_archive
from tests.real.images import Image, tar_of


class EngineApi(ImageApi, SystemApi, Protocol):
    """What all three backends are."""


Scenario = Callable[[EngineApi], Awaitable[Any]]
Opened = contextlib.AbstractAsyncContextManager[EngineApi]


@dataclass(frozen=True)
class Measure:
    """The dockerd that the others are measured by; what it gave is remembered by scenario."""

    opened: Callable[[], Opened]
    test: str
    given: dict[str, Any]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def result(self, scenario: Scenario) -> Any:  # noqa: ANN401 - what the scenario returns
        """What dockerd gives; the first backend of a test asks, the others are told."""
        key = f"{self.test} {next(self._numbers)}"
        if key not in self.given:
            async with self.opened() as api:
                self.given[key] = await scenario(api)
        return self.given[key]


@dataclass(frozen=True)
class Backend:
    """A way to an empty engine, and the dockerd that is its measure."""

    name: str
    opened: Callable[[], Opened]
    measure: Measure

    async def agrees(self, scenario: Scenario) -> None:
        """Run the scenario; the value must be the one that dockerd gives."""
        expected = await self.measure.result(scenario)
        if self.name != "dockerd":
            async with self.opened() as api:
                assert_alike(await scenario(api), expected)


@contextlib.asynccontextmanager
async def client_of(socket: Path) -> AsyncIterator[EngineApi]:
    """A client of an engine whose images are gone before and after."""
    empty(socket)
    try:
        async with Client.connect(f"unix://{socket}") as client:
            yield client
    finally:
        empty(socket)


@contextlib.asynccontextmanager
async def engine_in(root: Path) -> AsyncIterator[EngineApi]:
    """An engine in this process."""
    async with Engine.open(root) as engine:
        yield engine


async def load(api: ImageApi, image: Image, *names: str) -> list[str]:
    """Load one image under these names."""
    return await api.image_load(io.BytesIO(tar_of(docker_archive((image, names)))), quiet=True)


async def refused(awaitable: Awaitable[Any], kind: type[LaminaError]) -> str:
    """The message of the error of that class, or of one below it, with which a call must end."""
    with pytest.raises(kind) as caught:
        await awaitable
    return str(caught.value)


def plain(value: object, *left_out: str) -> Any:  # noqa: ANN401 - any JSON
    """A result as plain JSON, without what belongs to one engine alone and the members named."""
    return _without(msgspec.to_builtins(value), {"GraphDriver", *left_out})


def _without(value: object, left_out: set[str]) -> object:
    if isinstance(value, dict):
        return {k: _without(v, left_out) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [_without(item, left_out) for item in value]
    return value


async def names_of(api: ImageApi) -> dict[str, list[str]]:
    """All images by ID, with their names."""
    return {image.id: sorted(image.repo_tags) for image in await api.image_list(all=True)}


async def saved(api: ImageApi, names: str | Sequence[str]) -> bytes:
    """The archive of one image (a name) or of several (a list of names)."""
    opened = api.image_get(names) if isinstance(names, str) else api.image_get_all(names)
    async with opened as stream:
        data = b"".join([chunk async for chunk in stream])
        assert stream.size is None or stream.size == len(data)
    return data
