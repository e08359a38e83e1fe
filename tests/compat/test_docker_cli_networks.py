"""Networks on a host of the test's own: a bridge of CNI plugins, and those without root."""

import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest

from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.checkout import environment
from tests.real.docker_cli import DockerCli
from tests.real.images import busybox_image, tar_of
from tests.real.island import HOST, Island, island
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.programs import run
from tests.real.remains import monitors_of, wait_until_gone, words_of
from tests.real.unprivileged import NOBODY, as_nobody
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

IMAGE = "busybox:latest"
ROUNDS = 6
WORKERS = 3
LONGEST = 0.5
"""Seconds until a kill, once containers come and go."""
FOR_EVER = ("sleep", "1000")


class Host:
    """A daemon on an island, and the docker client on it."""

    def __init__(self, directory: Path, place: Island, *, driver: str, nobodys: bool) -> None:
        self.place = place
        config = directory / "lamina.toml"
        config.write_text(f'network-driver = "{driver}"\n')
        if nobodys:
            os.chown(directory, NOBODY, NOBODY)
        self.enter = [*place.enter, *(as_nobody() if nobodys else ())]
        self.daemon = LaminaDaemon(
            directory,
            options=("--config", str(config), "--shutdown-timeout=0"),
            within=self.enter,
        )
        self.docker = DockerCli(self.daemon.host, directory / "docker")

    def begin(self) -> None:
        """Start the daemon, and give it an image."""
        self.daemon.start()
        load(self.daemon.socket, tar_of(docker_archive((busybox_image(), [IMAGE]))))

    def start(self, *command: str, options: Sequence[str] = ()) -> str:
        """The ID of a container that runs in the background."""
        return self.docker("run", "--detach", *options, IMAGE, *(command or FOR_EVER)).strip()

    def settings(self, id: str) -> dict[str, Any]:
        """What is told of its networks."""
        settings = self.docker("inspect", "--format={{json .NetworkSettings}}", id)
        found: dict[str, Any] = json.loads(settings)
        return found

    def left(self) -> list[str]:
        """What is kept of the bridge."""
        directory = self.daemon.root / "bridge"
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


@contextmanager
def a_host(place: Island, *, driver: str = "cni", nobodys: bool = False) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="lamina-networks-") as directory:
        host = Host(Path(directory), place, driver=driver, nobodys=nobodys)
        try:
            host.begin()
            yield host
        finally:
            host.daemon.stop()


@pytest.fixture
def place() -> Iterator[Island]:
    with island() as made:
        yield made


@pytest.fixture
def host(place: Island) -> Iterator[Host]:
    with a_host(place) as made:
        yield made


@pytest.fixture(params=["slirp4netns", "pasta"])
def driver(request: pytest.FixtureRequest) -> str:
    """What needs no root, and is a program for each network."""
    return str(request.param)


@pytest.fixture
def nobodys(place: Island, driver: str) -> Iterator[Host]:
    """A daemon without root."""
    with a_host(place, driver=driver, nobodys=True) as made:
        yield made


def wait_until_untouched(host: Host, before: set[str]) -> None:
    """Wait until the host is as it was: devices go with namespaces, which the kernel takes down."""
    deadline = time.monotonic() + 20
    place = host.place
    while (found := (place.links(), place.rules(), host.left())) != (before, [], []):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_the_world_is_reached_and_told_of(host: Host, place: Island) -> None:
    before = place.links()
    id = host.start(options=("--add-host=gate:host-gateway",))
    assert host.docker("exec", id, "sh", "-c", place.ask) == f"{HOST}\n"
    settings = host.settings(id)
    address, gateway = settings["IPAddress"], settings["Gateway"]
    shown = host.docker("exec", id, "sh", "-c", "ip address show eth0; ip route; cat /etc/hosts")
    for words in (f"{address}/22", settings["MacAddress"], f"default via {gateway}"):
        assert words in shown
    assert f"{address}\t{id[:12]}" in shown
    assert f"{gateway}\tgate" in shown
    keys = ("IPAddress", "IPPrefixLen", "Gateway", "MacAddress")
    assert {settings["Networks"]["bridge"][key] == settings[key] for key in keys} == {True}
    assert "10.0.2.3" not in host.docker("exec", id, "cat", "/etc/resolv.conf")
    assert host.docker("info", "--format={{.Plugins.Network}}") == "[cni]\n"
    host.docker("stop", "--time=0", id)
    assert host.settings(id)["IPAddress"] == ""
    wait_until_untouched(host, before)


def test_two_reach_each_other_by_address(host: Host) -> None:
    first = host.start("nc", "-ll", "-p", "7", "-e", "echo", "here")
    address = host.settings(first)["IPAddress"]
    script = f"for i in $(seq 100); do busybox nc -w 1 {address} 7 </dev/null && break; done"
    assert host.docker("run", "--rm", IMAGE, "sh", "-c", script) == "here\n"
    host.docker("restart", "--time=0", first)
    assert host.settings(first)["IPAddress"]


def refuses_loopback(host: Host) -> bool:
    """Whether a container does not get to the loopback of its host, by way of its gateway."""
    gateway = host.settings(host.start())["Gateway"]
    server = host.place.on_host(lambda: socket.create_server(("127.0.0.1", 0)))
    with server:
        ask = f"echo hello | busybox nc -w 1 {gateway} {server.getsockname()[1]}"
        host.docker.run("run", "--rm", IMAGE, "sh", "-c", ask)
        server.settimeout(0)
        try:
            server.accept()
        except BlockingIOError:
            return True
    return False


def test_the_hosts_loopback_is_out_of_reach(host: Host) -> None:
    assert refuses_loopback(host)


def test_two_roots_share_nothing(host: Host, place: Island) -> None:
    before = place.links()
    with a_host(place) as other:
        gateways = {each.settings(each.start())["Gateway"] for each in (host, other)}
        assert len(gateways) == 2
        assert len([name for name in place.links() - before if name.startswith("lamina-")]) == 2
        assert len(place.rules()) == 6


@pytest.mark.parametrize("with_monitor", [False, True])
def test_nothing_is_left_of_a_killed_daemon(
    host: Host, place: Island, *, with_monitor: bool
) -> None:
    before = place.links()
    for _ in range(2):
        host.start()
    assert len(place.rules()) == 3
    assert host.left() == ["addresses", "attached", "network.json"]
    monitors = monitors_of(host.daemon.pid)
    host.daemon.kill()
    if with_monitor:
        for monitor in monitors:
            os.kill(monitor, signal.SIGKILL)
    wait_until_gone(host.daemon.root)
    host.daemon.start()
    wait_until_untouched(host, before)
    id = host.start()
    assert host.settings(id)["IPAddress"]


def test_nothing_is_left_whenever_a_daemon_is_killed(host: Host, place: Island) -> None:
    before = place.links()
    for seed in range(ROUNDS):
        begun = Semaphore(0)

        def come_and_go(begun: Semaphore = begun) -> None:
            while host.docker.run("run", "--rm", IMAGE, "true").status == 0:
                begun.release()

        with ThreadPoolExecutor(WORKERS) as pool:
            workers = [pool.submit(come_and_go) for _ in range(WORKERS)]
            begun.acquire()
            # Any step of a life may be hit.
            wait(workers, random.Random(seed).uniform(0, LONGEST))
            monitors = monitors_of(host.daemon.pid)
            host.daemon.kill()
            if seed % 2:
                for monitor in monitors:
                    os.kill(monitor, signal.SIGKILL)
        wait_until_gone(host.daemon.root)
        host.daemon.start()
        wait_until_untouched(host, before)


def test_who_lives_keeps_its_bridge_when_others_are_swept(host: Host, place: Island) -> None:
    id = host.start()
    attached = host.daemon.root / "bridge" / "attached"
    (attached / "dead-1234").touch()
    # Whoever opens the root sweeps.
    run([*place.enter, sys.executable, "-m", "lamina", "images", "--root", str(host.daemon.root)])
    assert len(list(attached.iterdir())) == 1
    assert host.docker("exec", id, "sh", "-c", place.ask) == f"{HOST}\n"


def test_without_root_the_world_is_reached(nobodys: Host, place: Island, driver: str) -> None:
    docker = nobodys.docker
    shown = docker("info", "--format={{.Driver}} {{.Plugins.Network}}")
    assert shown == f"overlay-userns [{driver}]\n"
    assert docker("run", "--rm", IMAGE, "sh", "-c", place.ask) == f"{HOST}\n"
    assert nobodys.settings(nobodys.start())["IPAddress"] == "10.0.2.100"


def test_without_root_the_hosts_loopback_is_out_of_reach(nobodys: Host) -> None:
    assert refuses_loopback(nobodys)


def test_without_root_builds_reach_the_world(nobodys: Host, place: Island) -> None:
    dockerfile = f"FROM {IMAGE}\nRUN {place.ask} >answer\n".encode()
    built = nobodys.docker("build", "--quiet", "-", stdin=dockerfile).strip()
    assert nobodys.docker("run", "--rm", built, "cat", "answer") == f"{HOST}\n"
    nobodys.daemon.stop()
    root = str(nobodys.daemon.root)
    build = ("lamina", "build", "--root", root, "--no-cache", "--progress=plain", "-")
    run(
        [*nobodys.enter, sys.executable, "-m", *build],
        stdin=dockerfile,
        env={**environment(), "HOME": root},
    )


@pytest.mark.parametrize("nobodys", [False, True], ids=["root", "nobody"])
def test_what_forwards_ends_with_a_killed_daemon(
    place: Island, driver: str, *, nobodys: bool
) -> None:
    before = place.links()
    with a_host(place, driver=driver, nobodys=nobodys) as host:
        script = f"{place.ask}; sleep 1000"
        ids = [host.start("sh", "-c", script) for _ in range(2)]
        forwarding = forwarding_for(host.daemon.pid)
        assert len(forwarding) == 2
        for id in ids:
            while host.docker("logs", id) != f"{HOST}\n":
                time.sleep(0.02)
        host.daemon.kill()
        wait_until_gone(host.daemon.root)
        host.daemon.start()
        assert [pid for pid in forwarding if words_of(pid)] == []
        assert list(host.daemon.root.glob("run/*/namespace-*")) == []
        assert (place.links(), place.rules()) == (before, [])
        for id in ids:
            host.docker("rm", id)


def forwarding_for(parent: int) -> list[str]:
    """The process IDs of a daemon's children that forward for a network."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    names = (b"slirp4netns", b"pasta")
    return [pid for pid in children if words_of(pid)[0].rpartition(b"/")[2].startswith(names)]
