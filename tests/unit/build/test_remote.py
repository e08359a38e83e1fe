"""Contexts and files that come by URL, from servers on this machine."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lamina.build.git import GitSource
from lamina.dockerfile.source import MAX_DOCKERFILE_SIZE
from lamina.engine import Engine
from lamina.errors import DigestMismatch, InvalidParameter, LaminaError, NotFound
from lamina.registry.client import RegistryConfig
from lamina.registry.proxies import Proxies
from tests.real.images import gzipped, tar_of, write_tree
from tests.real.web import git, git_daemon, web_server
from tests.unit.build.builds import build, layers
from tests.unit.build.conftest import load_busybox

DOCKERFILE = b"FROM busybox\nCOPY a /\n"
MODIFIED = 1_600_000_000


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and the URL under which it is served."""
    directory = tmp_path / "web"
    directory.mkdir()
    with web_server(directory) as url:
        yield directory, url


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A repository with a branch and a directory, and the URL under which it is served."""
    base = tmp_path / "git"
    work = write_tree({"Dockerfile": DOCKERFILE, "a": b"1"}, base / "repo.git")
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "one")
    git(work, "checkout", "--quiet", "-b", "other")
    write_tree({"sub/Dockerfile": DOCKERFILE, "sub/a": b"22"}, work)
    (work / "out").symlink_to("/")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "two")
    git(work, "checkout", "--quiet", "main")
    with git_daemon(base, log=tmp_path / "git.log") as url:
        yield work, f"{url}/repo.git"


async def size_of_a(engine: Engine, image: str) -> int:
    return (await layers(engine, image))[-1]["a"].size


async def test_a_context_by_url(engine: Engine, web: tuple[Path, str]) -> None:
    directory, url = web
    tar = tar_of({"Dockerfile": DOCKERFILE, "a": b"123", "x/Other": DOCKERFILE})
    for name, content in {"c.tar": tar, "c.tgz": gzipped(tar)}.items():
        (directory / name).write_bytes(content)
        assert await size_of_a(engine, await engine.image_build(remote=f"{url}/{name}")) == 3
    image = await engine.image_build(remote=f"{url}/c.tar", dockerfile="x/Other")
    assert await size_of_a(engine, image) == 3


async def test_a_dockerfile_by_url(engine: Engine, web: tuple[Path, str]) -> None:
    directory, url = web
    (directory / "file.txt").write_bytes(b"FROM busybox\nENV a=b\n")
    image = await engine.image_build(remote=f"{url}/file.txt", dockerfile="ignored")
    config = (await engine.image_inspect(image)).config
    assert config is not None
    assert config.env == ("PATH=/bin", "a=b")


async def test_a_context_that_is_not_there(engine: Engine, web: tuple[Path, str]) -> None:
    with pytest.raises(NotFound, match="with status 404"):
        await engine.image_build(remote=f"{web[1]}/nope")
    with pytest.raises(LaminaError, match=r"remoteURL \(nope\) could not be recognized as URL"):
        await engine.image_build(remote="nope")


async def test_a_repository(engine: Engine, repository: tuple[Path, str]) -> None:
    work, url = repository
    commit = git(work, "rev-parse", "main")
    for remote in (url, f"{url}#main", f"{url}#{commit}"):
        assert await size_of_a(engine, await engine.image_build(remote=remote)) == 1
    assert await size_of_a(engine, await engine.image_build(remote=f"{url}#other:sub")) == 2


@pytest.mark.parametrize("fragment", ["nope", "other:nope", "other:out", "other:../x"])
async def test_what_a_repository_has_not(
    engine: Engine, repository: tuple[Path, str], fragment: str
) -> None:
    with pytest.raises(LaminaError):
        await engine.image_build(remote=f"{repository[1]}#{fragment}")


async def test_add_of_a_repository(engine: Engine, repository: tuple[Path, str]) -> None:
    work, url = repository
    image = await build(engine, f"FROM busybox\nADD {url}#other:sub /r/")
    assert set((await layers(engine, image))[-1]) == {"r", "r/Dockerfile", "r/a"}
    image = await build(engine, f"FROM busybox\nADD --keep-git-dir=true {url} /r/")
    assert "r/.git" in (await layers(engine, image))[-1]
    commit = git(work, "rev-parse", "main")
    await build(engine, f"FROM busybox\nADD --checksum={commit} {url}#main /r/")
    with pytest.raises(LaminaError, match="expected checksum to match"):
        await build(engine, f"FROM busybox\nADD --checksum={'0' * 40} {url}#main /r/")


async def test_a_repository_that_is_deep(
    engine: Engine, repository: tuple[Path, str], tmp_path: Path
) -> None:
    work, url = repository
    blob = git(work, "hash-object", "a")
    deep = "d/" * 1500
    git(work, "update-index", "--add", "--cacheinfo", f"100644,{blob},{deep}f")
    git(work, "commit", "--quiet", "-m", "deep")
    image = await build(engine, f"FROM busybox\nADD {url} /r/")
    assert f"r/{deep}f" in (await layers(engine, image))[-1]
    assert [path.name for path in (tmp_path / "root" / "build").iterdir()] == []


async def test_modes_are_those_of_the_repository(
    engine: Engine, repository: tuple[Path, str]
) -> None:
    """Whatever this process makes its own files with."""
    before = os.umask(0o077)
    try:
        image = await build(engine, f"FROM busybox\nADD {repository[1]}#other /r/")
    finally:
        os.umask(before)
    found = (await layers(engine, image))[-1]
    assert {path: found[path].mode for path in ("r/a", "r/sub")} == {"r/a": 0o644, "r/sub": 0o755}


@pytest.fixture
async def talkative() -> AsyncIterator[str]:
    """The URL of a repository whose server says very much, and then nothing of use."""
    commit = "1" * 40

    def packets(*lines: bytes) -> bytes:
        return b"".join(b"%04x%s" % (len(line) + 4, line) for line in lines) + b"0000"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offered = b"side-band-64k shallow"
        writer.write(
            packets(f"{commit} HEAD\0".encode() + offered, f"{commit} refs/heads/m".encode())
        )
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"0000")
            writer.write(packets(f"shallow {commit}".encode()))
            await reader.readuntil(b"done\n")
            writer.write(packets(b"NAK\n")[:-4])
            for _ in range(100):
                writer.write(packets(b"\x02" + b"x" * 60_000 + b"\n")[:-4])
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"git://{host}:{port}/x.git"


async def test_what_a_server_says_without_end(engine: Engine, talkative: str) -> None:
    with pytest.raises(LaminaError, match=r"(?s)error fetching: .*xxx.*exit status 128") as caught:
        await engine.image_build(remote=talkative)
    assert len(str(caught.value)) < 20_000


@pytest.mark.parametrize(
    ("text", "modified"),
    [
        ("Sun, 13 Sep 2020 12:26:40 GMT", MODIFIED),
        ("yesterday", 0),
        ("Mon, 99999999999999999999 Jan 2024 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0100 00:00:00 -0000", 0),
    ],
)
async def test_when_a_file_was_changed(engine: Engine, text: str, modified: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nLast-Modified: {text}\r\nContent-Length: 1\r\n\r\n"
        writer.write(head.encode() + b"1")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        image = await build(engine, f"FROM busybox\nADD http://{host}:{port}/f /f")
    assert (await layers(engine, image))[-1]["f"].mtime == modified


async def test_what_is_too_large_for_a_dockerfile(engine: Engine, web: tuple[Path, str]) -> None:
    (web[0] / "large").write_bytes(b"#" * (MAX_DOCKERFILE_SIZE + 1))
    with pytest.raises(InvalidParameter, match="no archive, and too large for a Dockerfile"):
        await engine.image_build(remote=f"{web[1]}/large")


async def test_add_of_a_url(engine: Engine, web: tuple[Path, str]) -> None:
    directory, url = web
    (directory / "f.tar").write_bytes(tar_of({"in": b"1"}))
    os.utime(directory / "f.tar", (MODIFIED, MODIFIED))
    digest = f"sha256:{hashlib.sha256((directory / 'f.tar').read_bytes()).hexdigest()}"
    image = await build(
        engine,
        f"FROM busybox\nADD {url}/f.tar /d/\nADD --checksum={digest} {url}/f.tar /e\n"
        f"ADD --unpack=true {url}/f.tar /u",
    )
    first, second, third = (await layers(engine, image))[-3:]
    assert set(first) == {"d", "d/f.tar"}
    assert (first["d/f.tar"].mode, first["d/f.tar"].mtime) == (0o600, MODIFIED)
    assert set(second) == {"e"}
    assert set(third) == {"u", "u/in"}
    with pytest.raises(DigestMismatch):
        await build(engine, f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {url}/f.tar /e")


async def test_everything_comes_through_a_proxy(web: tuple[Path, str], tmp_path: Path) -> None:
    directory, url = web
    # What a proxy is asked for is the whole URL; a server of files takes that for a path.
    there = directory / "http:" / "files.example"
    write_tree({"f": b"1", "c.tar": tar_of({"Dockerfile": DOCKERFILE, "a": b"123"})}, there)
    work = write_tree({"Dockerfile": DOCKERFILE, "a": b"22"}, tmp_path / "work")
    git(work, "init", "--quiet")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "one")
    git(work, "update-server-info")
    commit = git(work, "rev-parse", "HEAD")
    (work / ".git").rename(there / "repo.git")
    config = RegistryConfig(proxies=Proxies(http=url))
    async with Engine.open(tmp_path / "proxied", registries=config) as engine:
        await load_busybox(engine)
        await engine.image_create(from_src="files.example/c.tar", repo="imported")
        image = await build(engine, "FROM busybox\nADD http://files.example/f /\n")
        assert set((await layers(engine, image))[-1]) == {"f"}
        image = await engine.image_build(remote="http://files.example/c.tar")
        assert await size_of_a(engine, image) == 3
        for fragment in ("", f"#{commit}"):
            image = await engine.image_build(remote=f"http://files.example/repo.git{fragment}")
            assert await size_of_a(engine, image) == 2


async def test_names_of_what_comes_by_url(engine: Engine, web: tuple[Path, str]) -> None:
    directory, url = web
    (directory / "[sp ace").write_text("1")
    (directory / "index.html").write_text("2")
    (directory / "named").mkdir()
    (directory / "named" / "index.html").write_text("3")
    image = await build(
        engine,
        f"FROM busybox\nADD {url}/%5Bsp%20ace?x=/y /d/\nADD {url}/named/ /e/\nADD {url}/ /f\n",
    )
    by_path, given, nameless = (await layers(engine, image))[-3:]
    assert set(by_path) == {"d", "d/[sp ace"}
    assert set(given) == {"e", "e/given name"}
    assert set(nameless) == {"f"}
    with pytest.raises(LaminaError, match="cannot determine filename for source"):
        await build(engine, f"FROM busybox\nADD {url}/ /f/\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x.y/a.git", GitSource("https://x.y/a.git")),
        ("https://x.y/a.git#v1:d/e", GitSource("https://x.y/a.git", "v1", "d/e")),
        ("https://x.y/a.git#:d", GitSource("https://x.y/a.git", "", "d")),
        ("https://x.y/a.git?branch=b&subdir=d", GitSource("https://x.y/a.git", "b", "d")),
        ("git@github.com:a/b#c", GitSource("git@github.com:a/b", "c")),
        ("github.com/a/b#c", GitSource("https://github.com/a/b.git", "c")),
        ("ssh://git@x/a", GitSource("ssh://git@x/a")),
        ("https://x.y/a.tar", None),
        ("a/b.git", None),
    ],
)
def test_urls_of_repositories(text: str, expected: GitSource | None) -> None:
    assert GitSource.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "git://x/a#--upload-pack=x",
        "https://x.y/a.git?x=1",
        "https://x.y/a\0.git",
        "https://x.y/a.git?ref=%00",
        "https://x.y/a.git?subdir=%00",
    ],
)
def test_urls_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        GitSource.parse(text)
