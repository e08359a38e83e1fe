"""What is given to others: wheel and source distribution, as a stranger installs and uses them."""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import PROJECT

VERSION_LINE = re.compile(r"lamina \d+\.\d+\.\d+\S*\n")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
PINS = f"--constraint={PROJECT / 'constraints.txt'}"

USER = """
from collections.abc import Iterator
from pathlib import Path

from lamina import Client, Engine, ImageApi, blocking
from lamina.models import ImageSummary


async def sizes(api: ImageApi) -> dict[str, int]:
    return {name: image.size for image in await api.image_list() for name in image.repo_tags}


async def main(root: Path, host: str) -> None:
    async with Engine.open(root) as engine, Client.connect(host) as client:
        print(await sizes(engine), await sizes(client))
        names: list[str] = await engine.image_load(root / "images.tar", quiet=True)
        print(names)


def without_a_loop() -> Iterator[ImageSummary]:
    with blocking.use(Engine.open()) as engine:
        names: list[str] = engine.image_load([b""], quiet=True).result()
        print(names)
        with engine.image_get("busybox") as archive:
            print(archive.read(3) == b"abc", archive.size)
        yield from engine.image_list(all=True, filters={"dangling": True})
"""

MISTAKEN = """
from lamina import Engine, blocking

with blocking.use(Engine.open("/root")) as engine:
    engine.image_list(everything=True)
    engine.image_load("images.tar")
    number: int = engine.image_load([b""]).result()
    engine.image_inspekt("a")
"""
MISTAKES = {
    4: "arg-type",
    5: "call-arg",
    6: "arg-type",
    7: "assignment",
    8: "attr-defined",
}
"""The line of each mistake, and mypy's code for it."""

IMPORT_ALL = """
import importlib, pkgutil
import lamina

for module in pkgutil.walk_packages(lamina.__path__, "lamina."):
    if module.name != "lamina.__main__":
        importlib.import_module(module.name)
print(lamina.__file__)
"""


def run(*arguments: object, cwd: Path) -> str:
    """What a program prints that knows nothing of this checkout; it must succeed."""
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(directory: Path, *requirements: object) -> Path:
    """The programs of a new virtual environment with nothing but these, and what they require.

    None of them is compiled: a compiler may be missing where they are installed.
    """
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory.parent)
    programs = directory / "bin"
    install = ("install", "--quiet", "--only-binary=:all:", PINS)
    run(*PIP, "--python", programs / "python", *install, *requirements, cwd=directory.parent)
    return programs


@dataclass(frozen=True)
class Distribution:
    """What was built, and the program that builds it."""

    wheel: Path
    sdist: Path
    hatchling: Path


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    directory = tmp_path_factory.mktemp("distribution")
    hatchling = environment(directory / "builder", "hatchling") / "hatchling"
    run(hatchling, "build", "--directory", directory, cwd=PROJECT)
    (wheel,) = directory.glob("*.whl")
    (sdist,) = directory.glob("*.tar.gz")
    return Distribution(wheel, sdist, hatchling)


@pytest.fixture(scope="module")
def installed(distribution: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which the wheel is installed."""
    return environment(tmp_path_factory.mktemp("installed") / "venv", distribution.wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_is_in_the_wheel(distribution: Distribution) -> None:
    """The package with all its files, and nothing else."""
    source = PROJECT / "src"
    expected = {
        str(path.relative_to(source)): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files = contents(distribution.wheel)
    described = {name for name in files if ".dist-info/" in name}
    assert {name: data for name, data in files.items() if name not in described} == expected
    assert {name.partition("/")[2] for name in described} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_what_is_in_the_source(distribution: Distribution, tmp_path: Path) -> None:
    """What the same wheel is built of, and what is needed to work on it; nothing that was made."""
    run("tar", "--extract", "--file", distribution.sdist, cwd=tmp_path)
    (tree,) = tmp_path.iterdir()
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    run(distribution.hatchling, "build", "--target", "wheel", "--directory", tmp_path, cwd=tree)
    (wheel,) = tmp_path.glob("*.whl")
    assert contents(wheel) == contents(distribution.wheel)
    made = re.compile(r"(^|/)(\.(?!gitignore$)|__pycache__/)")
    assert not [name for name in files if made.search(name)]
    assert {"Makefile", "constraints.txt", "scripts/setup", "tests/conftest.py"} < files


def test_it_works_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    assert VERSION_LINE.fullmatch(run(installed / "lamina", "--version", cwd=tmp_path))
    where = run(installed / "python", "-W", "error", "-c", IMPORT_ALL, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    images = run(installed / "lamina", "images", "--root", tmp_path / "root", cwd=tmp_path)
    assert images.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]


def test_its_types(installed: Path, tmp_path: Path) -> None:
    """What a user's checker says: nothing of what is right, and of what is wrong where it is."""
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "mistaken.py").write_text(MISTAKEN)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"),
            *(f"--cache-dir={tmp_path / 'cache'}", f"--python-executable={installed / 'python'}"),
            *("--hide-error-context", "user.py", "mistaken.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(\S+):(\d+): error: .* +\[(\S+)\]$", done.stdout, re.MULTILINE)
    expected = [("mistaken.py", str(line), code) for line, code in MISTAKES.items()]
    assert (found, done.stderr) == (expected, ""), done.stdout


@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_nothing_is_compiled(
    machine: str, python: str, distribution: Distribution, tmp_path: Path
) -> None:
    """All that it requires is there as wheels for glibc 2.17 or 2.28 (Debian 10) and later."""
    planned = run(
        *(*PIP, "install", "--dry-run", "--only-binary=:all:", PINS, "--implementation=cp"),
        *(f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_28_{machine}"),
        *(f"--python-version={python}", "--target", tmp_path, distribution.wheel),
        cwd=tmp_path,
    )
    (would_install,) = re.findall(r"^Would install (.*)$", planned, re.MULTILINE)
    for name in ("SQLAlchemy", "aiohttp", "isal", "lamina", "msgspec", "uvloop"):
        assert f"{name}-" in would_install
