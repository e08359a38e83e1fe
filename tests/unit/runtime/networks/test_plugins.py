import json
from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.runtime.networks.plugins import Plugins, find_plugins
from lamina.runtime.programs import find_program
from tests.real.programs import require


@pytest.fixture
def plugins() -> Plugins:
    require("iptables")
    found = find_plugins(find_program)
    assert found is not None, "install containernetworking-plugins"
    return found


def test_a_version_that_all_follow(plugins: Plugins) -> None:
    assert plugins.version() in {"1.0.0", "0.4.0"}


def test_none_without_what_they_need() -> None:
    assert find_plugins(lambda _name: None) is None


def test_what_a_plugin_says_went_wrong(plugins: Plugins) -> None:
    config = {"cniVersion": "0.4.0", "name": "test", "type": "bridge", "ipam": {"type": "none"}}
    with pytest.raises(Unavailable, match=r"failed: .*/nowhere"):
        plugins.add(config, "id", "/nowhere", keep=0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo \'{"code": 7, "msg": "no", "details": "such"}\'; exit 1', "failed: no; such"),
        ("echo bad >&2; exit 3", "failed: bad"),
        ("exit 3", "ended with status 3 and without a word"),
        ("echo no JSON", "ended with status 0 and without a word"),
        ('echo \'{"supportedVersions": ["9.9"]}\'', "follow none of"),
    ],
)
def test_plugins_that_are_of_no_use(tmp_path: Path, script: str, reason: str) -> None:
    for name in ("bridge", "host-local"):
        plugin = tmp_path / name
        plugin.write_text(f"#!/bin/sh\n{script}\n")
        plugin.chmod(0o755)
    with pytest.raises(Unavailable, match=reason):
        Plugins(str(tmp_path), "iptables").version()


def test_what_a_plugin_is_told(tmp_path: Path) -> None:
    told = tmp_path / "told"
    plugin = tmp_path / "bridge"
    plugin.write_text(f"#!/bin/sh\n(cat; echo; env) >{told}\n")
    plugin.chmod(0o755)
    Plugins(str(tmp_path), "iptables").delete({"type": "bridge", "name": "n"}, "id", "", keep=0)
    config, *environment = told.read_text().splitlines()
    assert json.loads(config) == {"type": "bridge", "name": "n"}
    wanted = {
        "CNI_COMMAND=DEL",
        "CNI_CONTAINERID=id",
        "CNI_NETNS=",
        "CNI_IFNAME=eth0",
        f"CNI_PATH={tmp_path}",
    }
    assert wanted <= set(environment)
