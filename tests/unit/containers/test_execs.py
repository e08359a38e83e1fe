import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from lamina.containers.containers import Containers
from lamina.containers.creating import create_container
from lamina.containers.execs import Exec, Execs
from lamina.containers.recovery import close_containers
from lamina.containers.removal import remove_container
from lamina.containers.running import start_container
from lamina.errors import StartFailed
from lamina.models import ExecConfig, HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.real.programs import require
from tests.unit.layers.trees import needs_root

pytestmark = needs_root


@pytest.fixture
async def running(containers: Containers) -> AsyncIterator[Containers]:
    """With a container that runs, called so."""
    await start(containers, "running")
    yield containers
    await close_containers(containers, 0)


async def start(containers: Containers, name: str) -> None:
    host = HostConfig(network_mode="none", binds=(f"{require('busybox')}:/bin/sh:ro",))
    config = ContainerConfig(cmd=("/bin/sh", "-c", "read x"), tty=True, open_stdin=True)
    await create_container(containers, config, host, name=name, platform=None)
    await start_container(containers, name)


def known() -> set[str]:
    """The IDs of all that are in memory."""
    gc.collect()
    return {each.id for each in gc.get_objects() if isinstance(each, Exec)}


@pytest.mark.parametrize("command", ["/bin/sh", "/none"])
async def test_those_that_are_over_are_forgotten(running: Containers, command: str) -> None:
    execs = Execs(running, kept=0)
    made = await execs.prepare("running", ExecConfig(cmd=(command, "-c", "true")))
    id = made.id
    with suppress(StartFailed):
        async with execs.start(id, detach=True, console_size=None):
            pass
    del made
    async with asyncio.timeout(10):
        while id in known():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_those_that_are_never_started_go_with_their_containers(running: Containers) -> None:
    execs = Execs(running)
    for number in range(4):
        await start(running, f"c{number}")
        for _ in range(50):
            await execs.prepare(f"c{number}", ExecConfig(cmd=("true",)))
        await remove_container(running, f"c{number}", force=True)
    assert len(known()) < 150
