"""`lamina pull`, `push`, `search`, `login` and `logout`, without a daemon and with one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LaminaCli
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.registry import Registry, registry as running_registry


@pytest.fixture(scope="module")
def guarded() -> Iterator[Registry]:
    with running_registry(user="me", password="secret") as server:
        yield server


@pytest.fixture(params=["root", "host"])
def cli(request: pytest.FixtureRequest, lamina: LaminaCli, tmp_path: Path) -> Iterator[LaminaCli]:
    if request.param == "root":
        yield LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "images")})
        return
    daemon: LaminaDaemon = request.getfixturevalue("lamina_daemon")
    yield LaminaCli(lamina.home, {"DOCKER_HOST": daemon.host})


def test_there_and_back(cli: LaminaCli, registry: Registry, sample: Path) -> None:
    cli("load", "--input", str(sample))
    image_id = cli("images", "--quiet", "--no-trunc", "cli/one:1").strip()
    name = f"{registry.address}/lamina/one"
    cli("tag", "cli/one:1", f"{name}:1")
    cli("tag", "cli/one:1", f"{name}:latest")
    pushed = cli("push", name).splitlines()
    assert pushed[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert pushed[2].startswith("latest: digest: sha256:")
    assert cli("push", "--quiet", "--all-tags", name) == f"{name}\n"
    cli("rmi", "--force", image_id)
    pulled = cli("pull", f"{name}:1").splitlines()
    assert pulled[0] == "1: Pulling from lamina/one"
    assert pulled[-2:] == [f"Status: Downloaded newer image for {name}:1", f"{name}:1"]
    assert cli("pull", "--quiet", name) == f"{name}:latest\n"
    assert cli("images", "--quiet", "--no-trunc", f"{name}:1").strip() == image_id
    events = [json.loads(line) for line in cli("pull", "--format", "json", name).splitlines()]
    assert events[-1] == {"status": f"Status: Image is up to date for {name}:latest"}
    found = cli("search", "--format", "json", name)
    assert json.loads(found)["Name"] == name
    cli("rmi", "--force", image_id)


def test_errors(cli: LaminaCli, registry: Registry) -> None:
    for args, message in (
        (("pull", "Bad"), "invalid reference format: repository name must be lowercase"),
        (("pull", "--all-tags", "x:1"), "tag can't be used with --all-tags/-a"),
        (("pull", f"{registry.address}/none:1"), "manifest unknown"),
        (("push", "none:1"), "An image does not exist locally with the tag: none"),
        (("search", "--limit", "0", "x"), "limit 0 is outside the range of [1, 100]"),
        (("login", "--password-stdin", "x"), "Must provide --username with --password-stdin"),
        (("login", registry.address), "Cannot perform an interactive login"),
    ):
        answer = cli.run(*args)
        assert answer.status == 1
        assert message in answer.stderr


def test_login(cli: LaminaCli, guarded: Registry, sample: Path) -> None:
    cli("load", "--input", str(sample))
    name = f"{guarded.address}/lamina/private:1"
    cli("tag", "cli/one:1", name)
    assert "no basic auth credentials" in cli.run("push", name).stderr
    login = ("login", "--username", "me", "--password-stdin", guarded.address)
    assert "401 Unauthorized" in cli.run(*login, stdin=b"wrong").stderr
    assert "no basic auth credentials" in cli.run("pull", name).stderr
    assert cli(*login, stdin=b"secret\n") == "Login Succeeded\n"
    kept = cli.home / ".docker" / "config.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    cli("push", "--quiet", name)
    assert cli("pull", "--quiet", name) == f"{name}\n"
    said = cli("login", guarded.address)
    assert said == "Authenticating with existing credentials...\nLogin Succeeded\n"
    assert cli("logout", guarded.address) == (f"Removing login credentials for {guarded.address}\n")
    assert json.loads(kept.read_bytes())["auths"] == {}
    assert cli("logout", guarded.address) == f"Not logged in to {guarded.address}\n"
    assert "no basic auth credentials" in cli.run("pull", name).stderr
    cli("rmi", "--force", "cli/one:1")
