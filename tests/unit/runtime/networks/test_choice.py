import logging
from pathlib import Path

import pytest

from lamina.runtime.networks.choice import Networks, sweep_networks
from lamina.runtime.networks.namespaces import Surroundings
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root


class Installed:
    """Finds what a test says is installed."""

    def __init__(self, **programs: str) -> None:
        self.programs = programs

    def __call__(self, name: str) -> str | None:
        return self.programs.get(name)


def networks(
    directory: Path, find: Installed, *, driver: str | None = None, rootless: bool = False
) -> Networks:
    return Networks(
        Surroundings(directory=directory, rootless=rootless),
        bridge=directory / "bridge",
        process="process",
        driver=driver,
        logger=logging.getLogger("test"),
        find=find,
    )


async def test_what_changes_nothing_of_the_host_comes_first(tmp_path: Path) -> None:
    find = Installed(slirp4netns="/usr/bin/slirp4netns", iptables="/usr/sbin/iptables")
    chosen = networks(tmp_path, find)
    assert chosen.name == "slirp4netns"
    way = await chosen.way()
    assert way is not None
    assert way.name == "slirp4netns"


async def test_what_is_installed_later_is_found(tmp_path: Path) -> None:
    find = Installed()
    chosen = networks(tmp_path, find)
    assert chosen.name == ""
    assert await chosen.way() is None
    lacking = await chosen.lacking()
    assert lacking.startswith("No program for container networks is installed, so")
    assert "install slirp4netns" in lacking
    find.programs["iptables"] = "/usr/sbin/iptables"
    assert await chosen.lacking() == ""
    assert chosen.name == "cni"


async def test_a_bridge_needs_root(tmp_path: Path) -> None:
    find = Installed(iptables="/usr/sbin/iptables")
    assert await networks(tmp_path, find, rootless=True).way() is None


async def test_a_pasta_that_crashes_is_passed_over(tmp_path: Path) -> None:
    pasta = tmp_path / "pasta"
    pasta.write_text("#!/bin/sh\nkill -SEGV $$\n")
    pasta.chmod(0o755)
    find = Installed(pasta=str(pasta), iptables="/usr/sbin/iptables")
    chosen = networks(tmp_path, find)
    assert chosen.name == "pasta"
    way = await chosen.way()
    assert way is not None
    assert (way.name, chosen.name) == ("cni", "cni")
    assert chosen.passed_over == {"pasta": f"{pasta} does not work here: it was ended by signal 11"}
    # Nothing else is there: it is told why.
    alone = networks(tmp_path, Installed(pasta=str(pasta)))
    assert "works here (pasta: " in await alone.lacking()
    assert names(tmp_path) == ["pasta"]


async def test_what_is_asked_for_and_not_there(tmp_path: Path) -> None:
    find = Installed(slirp4netns="/usr/bin/slirp4netns")
    chosen = networks(tmp_path, find, driver="cni")
    lacking = await chosen.lacking()
    assert lacking.startswith("There is no cni here that container networks could use, so")


@pytest.mark.parametrize("made", [False, True])
def test_nothing_is_swept_where_there_was_no_bridge(tmp_path: Path, *, made: bool) -> None:
    if made:
        (tmp_path / "bridge").mkdir()
    sweep_networks(tmp_path / "bridge", frozenset, find=Installed())
