"""The examples, run as their users would."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamina import Client
from lamina.registry.credentials import pack
from tests.docs.pages import PROJECT
from tests.real.archives import docker_archive
from tests.real.checkout import environment
from tests.real.images import small_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.registry import Registry, registry as running_registry

EXAMPLES = PROJECT / "examples"


@dataclass(frozen=True)
class User:
    """Somebody who is logged in to a registry of their own, by their home."""

    home: Path
    registry: str

    def run(self, *arguments: object) -> str:
        """What an example prints."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.home,
            env={**environment(), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    home = tmp_path_factory.mktemp("home")
    with running_registry(user="ci", password="secret") as server:
        kept = {"auths": {server.address: {"auth": pack("ci", "secret")}}}
        (home / ".docker").mkdir()
        (home / ".docker/config.json").write_text(json.dumps(kept))
        yield User(home, server.address)


@pytest.fixture(scope="module")
def built(user: User) -> dict[str, str]:
    """Two versions of a site, which are in the user's registry and in ``images``; their digests."""
    name, digests = f"{user.registry}/site", {}
    source = shutil.copytree(EXAMPLES / "site", user.home / "site")
    for version in "12":
        printed = user.run(
            EXAMPLES / "build_and_push.py",
            *(source, f"{name}:{version}", "--build-arg", f"VERSION={version}"),
            *("--root", user.home / "images"),
        )
        *steps, last = printed.splitlines()
        assert steps[0].endswith(" : FROM scratch")
        pushed, digest = last.rsplit(" ", 1)
        assert pushed == f"{name}:{version} is pushed: {version}"
        digests[version] = digest
        (source / "index.html").write_text("".join(f"{number}\n" for number in range(1000)))
        (source / "Dockerfile").write_text(f"{(source / 'Dockerfile').read_text()}WORKDIR /new\n")
    return digests


def test_copying(user: User, built: dict[str, str], registry: Registry) -> None:
    target = f"{registry.address}/examples/copied:1"
    printed = user.run(EXAMPLES / "copy_image.py", f"{user.registry}/site:1", target)
    assert printed == f"{target} {built['1']}\n"


@pytest.mark.usefixtures("built")
def test_what_changed(user: User) -> None:
    """In a root where the images are still to be pulled."""
    names = (f"{user.registry}/site:1", f"{user.registry}/site:2")
    printed = user.run(EXAMPLES / "what_changed.py", *names, "--root", user.home / "others")
    difference = 3890 - (EXAMPLES / "site/index.html").stat().st_size
    assert printed.splitlines() == [
        f"{difference:+12,} modified /srv/index.html",
        f"{0:+12,} added    /new",
        f"{difference:+12,} in all",
    ]


@pytest.mark.usefixtures("built")
def test_pruning(user: User) -> None:
    policy = (EXAMPLES / "prune_by_policy.py", "--root", user.home / "images", "--keep", 1)
    old = f"{user.registry}/site:1"
    assert user.run(*policy, "--dry-run") == ""
    assert user.run(*policy, "--older-than", 0, "--dry-run") == f"would remove {old}\n"
    removed, reclaimed = user.run(*policy, "--older-than", 0).splitlines()
    assert removed == f"removed {old}"
    assert reclaimed.endswith(" bytes more of images without names")
    assert user.run(*policy, "--older-than", 0, "--dry-run") == ""


async def test_pruning_of_an_engine(user: User, lamina_daemon: LaminaDaemon) -> None:
    names = ["examples/old:1", "examples/old:2"]
    async with Client.connect(lamina_daemon.host) as client:
        image = small_image("examples")
        await client.image_load([tar_of(docker_archive((image, names)))])
        printed = user.run(
            *(EXAMPLES / "prune_by_policy.py", "--host", lamina_daemon.host),
            *("--keep", 1, "--dry-run"),
        )
        await client.image_delete(image.id, force=True)
    assert "would remove examples/old:1\n" in printed
    assert "examples/old:2" not in printed


def test_the_fixtures(user: User, tmp_path: Path) -> None:
    printed = user.run(
        *("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-c", os.devnull),
        *(f"--basetemp={tmp_path / 'pytest'}", EXAMPLES / "test_image.py"),
    )
    assert "3 passed" in printed
