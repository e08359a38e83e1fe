import asyncio
import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from lamina.errors import InvalidParameter, LaminaError
from lamina.packing.context import (
    SentContext,
    directory_context,
    is_remote,
    piped_context,
    piped_dockerfile,
)
from lamina.streams import chunks_of


async def files_of(context: SentContext) -> dict[str, bytes]:
    data = b"".join([chunk async for chunk in chunks_of(context.stream)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            member.name: file.read() if (file := tar.extractfile(member)) else b""
            for member in tar.getmembers()
        }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "d" / "Other").write_text("FROM other\n")
    (root / "d" / "a").write_text("a")
    return root


async def test_a_directory(directory: Path) -> None:
    context = directory_context(directory)
    assert context.dockerfile == "Dockerfile"
    assert list(await files_of(context)) == ["Dockerfile", "d", "d/Other", "d/a"]


async def test_the_dockerfile_is_always_sent(directory: Path) -> None:
    (directory / ".dockerignore").write_text("*\n")
    context = directory_context(directory, directory / "d" / "Other")
    assert context.dockerfile == "d/Other"
    assert list(await files_of(context)) == [".dockerignore", "d/Other"]


async def test_a_lower_case_dockerfile_is_found(directory: Path) -> None:
    (directory / "Dockerfile").rename(directory / "dockerfile")
    assert directory_context(directory).dockerfile == "dockerfile"


async def test_an_ignore_file_of_the_dockerfile_goes_first(directory: Path) -> None:
    (directory / ".dockerignore").write_text("d\n")
    (directory / "Dockerfile.dockerignore").write_text("d/Other\n*ignore\n")
    files = await files_of(directory_context(directory))
    assert list(files) == ["Dockerfile", "Dockerfile.dockerignore", "d", "d/a"]


async def test_a_dockerfile_outside(directory: Path) -> None:
    outside = directory.parent / "outside"
    outside.write_text("FROM outside\n")
    (directory / ".dockerignore").write_text("d")
    (directory / ".dockerignore").chmod(0o640)
    context = directory_context(directory, outside)
    files = await files_of(context)
    assert context.dockerfile.startswith(".dockerfile.")
    assert files[context.dockerfile] == b"FROM outside\n"
    assert files[".dockerignore"] == f"d\n{context.dockerfile}\n".encode()
    assert list(files) == [".dockerignore", "Dockerfile", context.dockerfile]


async def test_a_dockerfile_as_text(directory: Path) -> None:
    context = directory_context(directory, text=b"FROM text\n")
    files = await files_of(context)
    assert files[context.dockerfile] == b"FROM text\n"
    assert files[".dockerignore"] == f".dockerignore\n{context.dockerfile}\n".encode()


async def test_a_link_for_a_dockerfile_is_followed(directory: Path) -> None:
    (directory / "Dockerfile").unlink()
    (directory / "Dockerfile").symlink_to("d/Other")
    assert directory_context(directory).dockerfile == "d/Other"


@pytest.mark.parametrize("dockerfile", ["missing", "loop"])
def test_no_dockerfile(directory: Path, dockerfile: str) -> None:
    (directory / "loop").symlink_to("loop")
    with pytest.raises(LaminaError, match="unable to evaluate symlinks in Dockerfile path"):
        directory_context(directory, directory / dockerfile)


def test_no_directory(directory: Path) -> None:
    with pytest.raises(LaminaError, match="must be a directory"):
        directory_context(directory / "Dockerfile")


def test_a_large_ignore_file(directory: Path) -> None:
    (directory / ".dockerignore").write_bytes(b"a\n" * (1 << 20))
    with pytest.raises(InvalidParameter, match="larger than"):
        directory_context(directory)


async def test_a_file_that_shrinks(directory: Path) -> None:
    (directory / "a").write_bytes(b"a" * (3 << 20))
    stream = aiter(chunks_of(directory_context(directory).stream))
    await anext(stream)
    os.truncate(directory / "a", 1 << 20)
    with pytest.raises(LaminaError, match="changed while it was read"):
        [chunk async for chunk in stream]


@pytest.mark.parametrize("instead", ["nothing", "file"])
async def test_a_directory_that_goes(directory: Path, instead: str) -> None:
    # The first megabyte ends with the header of `d`, which is looked into for the next.
    (directory / "a").write_bytes(b"a" * ((1 << 20) - 4 * 512))
    stream = aiter(chunks_of(directory_context(directory).stream))
    assert len(await anext(stream)) == 1 << 20
    shutil.rmtree(directory / "d")
    if instead == "file":
        (directory / "d").write_text("")
    with pytest.raises(LaminaError, match="/d' changed while it was read"):
        [chunk async for chunk in stream]


async def test_a_deep_directory(directory: Path) -> None:
    at = os.open(directory, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("e", dir_fd=at)
        below = os.open("e", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    found = await files_of(directory_context(directory))
    # More than what removes temporary directories can take.
    remove = ["rm", "-r", str(directory / "e")]
    await asyncio.to_thread(subprocess.run, remove, check=True)
    assert len(found) == 1504


async def test_modes_and_times(directory: Path) -> None:
    path = directory / "a"
    path.write_text("a")
    path.chmod(0o4750)
    os.utime(path, ns=(0, -1_500_000_000))
    data = b"".join([chunk async for chunk in chunks_of(directory_context(directory).stream)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.getmember("a")
    assert (stat.S_IMODE(member.mode), member.uid, member.gid) == (0o4750, 0, 0)
    assert member.mtime == -2


async def test_a_piped_archive_is_passed_on(directory: Path) -> None:
    data = b"".join([chunk async for chunk in chunks_of(directory_context(directory).stream)])
    context = await piped_context(io.BytesIO(data), "d/Other")
    assert context.dockerfile == "d/Other"
    assert b"".join([chunk async for chunk in chunks_of(context.stream)]) == data


@pytest.mark.parametrize("text", [b"FROM scratch\n", b"", b"FROM scratch\n" * 1000])
async def test_a_piped_dockerfile_alone(text: bytes) -> None:
    context = await piped_context(io.BytesIO(text))
    assert await files_of(context) == {"Dockerfile": text}
    assert context.dockerfile == "Dockerfile"


async def test_a_piped_dockerfile_is_bounded() -> None:
    with pytest.raises(InvalidParameter, match="larger than"):
        await piped_context(io.BytesIO(b"FROM scratch\n" * 400_000))
    with pytest.raises(InvalidParameter, match="larger than"):
        await piped_dockerfile(io.BytesIO(b"FROM scratch\n" * 400_000))


@pytest.mark.parametrize(
    "text", ["https://x/a.git#b:c", "http://x/a.tar", "git@github.com:a/b", "github.com/a/b"]
)
def test_what_the_engine_fetches(text: str) -> None:
    assert is_remote(text)
    assert not is_remote(f"./{text}")
