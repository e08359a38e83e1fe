"""What docs/library.md shows is what happens."""

import inspect
import re
import subprocess
import sys
import textwrap

import pytest

from lamina import Engine
from tests.docs.pages import PROJECT, Session, blocks
from tests.real.archives import docker_archive
from tests.real.image_files import ImageFiles
from tests.real.images import busybox_image, directory, file, layer, make_image, tar_of

PAGE = "docs/library.md"
BLOCKS = blocks(PAGE, "python")
PROGRAMS = [block for block in BLOCKS if block.startswith(("import", "from lamina import Engine"))]
BLOCKING = [block for block in BLOCKS if block.startswith("with blocking")]
FIXTURES = [block for block in BLOCKS if block.startswith("@pytest.fixture")]
STEPS = [block for block in BLOCKS if block not in [*PROGRAMS, *BLOCKING, *FIXTURES]]


@pytest.fixture
def home(session: Session, image_files: ImageFiles) -> Session:
    """A home with what the page speaks of; nothing but the page decides where images are kept."""
    (session.home / "busybox.tar").symlink_to(image_files.busybox_archive)
    etc = [directory("etc"), file("etc/os-release", "NAME=Debian\n")]
    old, new = make_image(layer(*etc)), make_image(layer(*etc, file("etc/new")))
    archive = docker_archive(
        (busybox_image(), ["busybox:latest"]), (old, ["debian:11"]), (new, ["debian:12"])
    )
    (session.home / "images.tar").write_bytes(tar_of(archive))
    source = session.home / "src"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\nARG VERSION\nCOPY . /\n")
    return session


def run(home: Session, program: str) -> str:
    """What a program prints whose user is not root."""
    done = subprocess.run(
        ["unshare", "--user", "--map-user=1000", sys.executable, "-c", program],
        cwd=home.home,
        env={**home.environment, "XDG_DATA_HOME": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_all_is_run() -> None:
    assert (len(PROGRAMS), len(BLOCKING), len(FIXTURES), len(STEPS)) == (2, 2, 2, 6)
    assert all(block in (PROJECT / "examples/test_image.py").read_text() for block in FIXTURES)


def test_the_programs(home: Session) -> None:
    first, second = PROGRAMS
    printed = run(home, first)
    assert printed.startswith("['busybox:latest']\n['busybox:latest'] ")
    assert printed.splitlines()[1:] == run(home, second).splitlines()
    assert (home.home / ".local/share/lamina/content").is_dir()


def test_without_an_event_loop(home: Session) -> None:
    imports = "import tarfile\nfrom pathlib import Path\nfrom lamina import Engine, blocking\n"
    printed = run(home, imports + "".join(BLOCKING))
    assert "Loaded image: busybox:latest" in printed
    assert "manifest.json" in printed
    assert "['etc/group', 'etc/passwd']\nroot:x:0:0:" in printed


def test_the_steps(home: Session) -> None:
    steps = ['await engine.image_load(Path("images.tar"))', *STEPS]
    imports = [step for step in "\n".join(steps).splitlines() if step.startswith("from ")]
    body = "\n".join(step for step in "\n".join(steps).splitlines() if step not in imports)
    program = f"""
import asyncio
from pathlib import Path
from lamina import Engine
{"; ".join(imports)}

async def main():
    async with Engine.open() as engine:
{textwrap.indent(body, " " * 8)}
        print((await engine.image_inspect("app:1")).id == image_id)

asyncio.run(main())
"""
    printed = run(home, program)
    assert "['etc/new', 'etc/os-release']\nb'NAME=Debian\\n'\n[Change(path='/etc/new'" in printed
    assert printed.endswith("['busybox:latest', 'debian:12']\nTrue\n")


def test_every_option_has_a_row() -> None:
    rows = re.findall(r"^\| (`.+?) \|", (PROJECT / PAGE).read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(inspect.signature(Engine.open).parameters)
