import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.runtime.networks.bridge import Bridge
from lamina.runtime.networks.namespaces import new_namespace
from lamina.runtime.networks.plugins import Plugins, find_plugins
from lamina.runtime.programs import find_program
from tests.real.island import Island, island
from tests.real.programs import require, run
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root


@pytest.fixture
def place() -> Iterator[Island]:
    with island() as made:
        yield made


@pytest.fixture
def plugins() -> Plugins:
    require("iptables")
    found = find_plugins(find_program)
    assert found is not None, "install containernetworking-plugins"
    return found


@contextmanager
def namespaces(count: int) -> Iterator[list[str]]:
    """The paths of new ones."""
    made = [new_namespace() for _ in range(count)]
    yield [f"/proc/{os.getpid()}/fd/{namespace}" for namespace in made]
    for namespace in made:
        os.close(namespace)


def altered(plugins: Plugins, directory: Path, script: str) -> Plugins:
    """The plugins, but what makes bridges does this before; `$1` is the real one."""
    directory.mkdir()
    real = Path(plugins.directory)
    shutil.copy(real / "host-local", directory)
    plugin = directory / "bridge"
    plugin.write_text(f"#!/bin/sh\nset -- {real}/bridge\n{script}\nexec $1\n")
    plugin.chmod(0o755)
    return Plugins(str(directory), plugins.iptables)


def test_it_comes_with_the_first_and_goes_with_the_last(
    place: Island, plugins: Plugins, tmp_path: Path
) -> None:
    before = place.links()
    bridge = Bridge(tmp_path / "bridge", plugins)
    with namespaces(2) as (one, other):
        first = place.on_host(lambda: bridge.attach("me-1", one))
        second = place.on_host(lambda: bridge.attach("me-2", other))
        assert (first.gateway, first.prefix) == (second.gateway, second.prefix)
        assert first.address != second.address
        place.on_host(lambda: bridge.detach("me-1", one))
        assert bridge.name in place.links()
        assert len(place.rules()) == 3
        place.on_host(lambda: bridge.detach("me-2", other))
    assert (place.links(), place.rules(), names(tmp_path / "bridge")) == (before, [], [])


def test_rules_that_were_flushed_come_again(
    place: Island, plugins: Plugins, tmp_path: Path
) -> None:
    bridge = Bridge(tmp_path / "bridge", plugins)
    with namespaces(2) as (one, other):
        place.on_host(lambda: bridge.attach("me-1", one))
        rules = place.rules()
        run([*place.enter, "iptables", "-t", "nat", "-F"])
        place.on_host(lambda: bridge.attach("me-2", other))
        assert place.rules() == rules


def test_a_host_that_forwards_nothing_forwards_this(
    place: Island, plugins: Plugins, tmp_path: Path
) -> None:
    run([*place.enter, "iptables", "-P", "FORWARD", "DROP"])
    with namespaces(1) as (one,):
        place.on_host(lambda: Bridge(tmp_path / "bridge", plugins).attach("me-1", one))
        assert run(["nsenter", f"--net={one}", "--", *place.ask.split()])


def test_a_network_that_another_has_taken_meanwhile(
    place: Island, plugins: Plugins, tmp_path: Path
) -> None:
    # Once, a route to the same appears just before the bridge does.
    take = f"""if [ "$CNI_COMMAND" = ADD ] && mkdir {tmp_path}/taken 2>/dev/null; then
        cat >{tmp_path}/config
        subnet=$(sed 's/.*"subnet": "\\([0-9./]*\\)".*/\\1/' {tmp_path}/config)
        ip route add $subnet dev up0
        exec $1 <{tmp_path}/config
    fi"""
    bridge = Bridge(tmp_path / "bridge", altered(plugins, tmp_path / "plugins", take))
    with namespaces(1) as (one,):
        endpoint = place.on_host(lambda: bridge.attach("me-1", one))
        (taken,) = (
            line.split()[0]
            for line in run([*place.enter, "ip", "route"]).splitlines()
            if "/22 dev up0" in line
        )
        assert not endpoint.address.startswith(taken.rpartition(".")[0])
        assert names(tmp_path / "bridge/attached") == ["me-1"]
        assert len(place.rules()) == 3


@pytest.mark.parametrize("after", [False, True])
def test_nothing_is_left_of_what_fails(
    place: Island, plugins: Plugins, tmp_path: Path, *, after: bool
) -> None:
    before = place.links()
    fail = 'echo \'{"code": 100, "msg": "no"}\'; exit 1'
    script = f"""if [ "$CNI_COMMAND" = ADD ]; then {"$1 >/dev/null;" if after else ""} {fail}; fi"""
    bridge = Bridge(tmp_path / "bridge", altered(plugins, tmp_path / "plugins", script))
    with namespaces(1) as (one,), pytest.raises(Unavailable, match="failed: no"):
        place.on_host(lambda: bridge.attach("me-1", one))
    assert (place.links(), place.rules(), names(tmp_path / "bridge")) == (before, [], [])


def test_what_cannot_be_taken_off_is_when_it_is_swept(
    place: Island, plugins: Plugins, tmp_path: Path
) -> None:
    before = place.links()
    broken = tmp_path / "broken"
    script = f"[ ! -e {broken} ] || exit 1"
    bridge = Bridge(tmp_path / "bridge", altered(plugins, tmp_path / "plugins", script))
    with namespaces(2) as (one, other):
        place.on_host(lambda: bridge.attach("me-1", one))
        place.on_host(lambda: bridge.attach("other-1", other))
        broken.touch()
        with pytest.raises(Unavailable):
            place.on_host(lambda: bridge.detach("me-1", one))
        broken.unlink()
        place.on_host(lambda: bridge.sweep(lambda: {"other"}))
        assert names(tmp_path / "bridge/attached") == ["other-1"]
        assert bridge.name in place.links()
        place.on_host(lambda: bridge.sweep(lambda: ()))
    assert place.rules() == []
    assert names(tmp_path / "bridge") == []
    assert bridge.name not in place.links() - before


@pytest.mark.parametrize("broken", [False, True])
def test_a_host_that_was_started_again_has_nothing(
    place: Island, plugins: Plugins, tmp_path: Path, *, broken: bool
) -> None:
    bridge = Bridge(tmp_path / "bridge", plugins)
    with namespaces(1) as (one,):
        place.on_host(lambda: bridge.attach("dead-1", one))
    if broken:
        (tmp_path / "bridge/network.json").write_bytes(b"")
    with island() as after:
        before = after.links()
        after.on_host(lambda: bridge.sweep(lambda: ()))
        assert (after.links(), after.rules(), names(tmp_path / "bridge")) == (before, [], [])
        with namespaces(1) as (one,):
            assert after.on_host(lambda: bridge.attach("me-1", one)).address


def test_it_is_the_same_by_whatever_path(place: Island, plugins: Plugins, tmp_path: Path) -> None:
    before = place.links()
    (tmp_path / "other").symlink_to("bridge")
    here, there = (Bridge(tmp_path / name, plugins) for name in ("bridge", "other"))
    with namespaces(2) as (one, other):
        first = place.on_host(lambda: here.attach("me-1", one))
        second = place.on_host(lambda: there.attach("you-1", other))
        assert first.gateway == second.gateway
        place.on_host(lambda: here.detach("me-1", one))
        place.on_host(lambda: there.detach("you-1", other))
    assert (place.links(), place.rules(), names(tmp_path / "bridge")) == (before, [], [])
