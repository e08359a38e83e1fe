import asyncio
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lamina.runtime.networks.namespaces import Surroundings
from lamina.runtime.networks.slirp import SlirpWay
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import NetworkMode
from tests.real.programs import require
from tests.real.remains import processes_with
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.test_runtime import HOST_NETWORK, Sandboxes

pytestmark = needs_root


async def test_a_network_with_a_way_out(runtime: Runtime, rootfs: Path) -> None:
    require("slirp4netns")
    sandboxes = Sandboxes(runtime, rootfs)
    script = "readlink /proc/self/ns/net; ip addr; ip route; cat /etc/resolv.conf"
    out, err, code = await sandboxes.run(script, network=NetworkMode.BRIDGE)
    assert (err, code) == ("", 0)
    assert HOST_NETWORK not in out
    for words in ("lo: <LOOPBACK,UP", "10.0.2.100/24", "default via 10.0.2.2", "10.0.2.3"):
        assert words in out


async def test_the_hosts_own_services_are_out_of_reach(runtime: Runtime, rootfs: Path) -> None:
    require("slirp4netns")
    sandboxes = Sandboxes(runtime, rootfs)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await sandboxes.run(
            f"echo hello | busybox nc -w 1 10.0.2.2 {port}", network=NetworkMode.BRIDGE
        )
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_what_forwards_ends_with_its_network(tmp_path: Path) -> None:
    way = SlirpWay(require("slirp4netns"), Surroundings(directory=tmp_path))
    await way.check()
    network = await way.open()
    path = network.path
    assert len(processes_with(path)) == 1
    await network.close()
    assert processes_with(path) == []


class Counting(ThreadPoolExecutor):
    """Threads that know how much they were given."""

    count = 0

    def submit(self, *call: Any, **named: Any) -> Future[Any]:  # noqa: ANN401 - as the base class
        self.count += 1
        return super().submit(*call, **named)


async def test_a_program_that_does_something_else_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nexec tail -f {program}\n")
    program.chmod(0o755)
    threads = Counting()
    asyncio.get_running_loop().set_default_executor(threads)
    way = SlirpWay(str(program), Surroundings(directory=tmp_path))
    opening = asyncio.create_task(way.open())
    async with asyncio.timeout(8):
        # One makes a namespace, the other waits until it is said to be ready.
        while threads.count < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert processes_with(str(program)) == []
