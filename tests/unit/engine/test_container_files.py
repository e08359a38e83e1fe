"""Files of containers, in and out, and images made of what they have changed."""

import asyncio
import gzip
import io
import os
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lamina.engine import Engine
from lamina.errors import Conflict, ContainerNotFound, Forbidden, InvalidParameter, NotFound
from lamina.models import HostConfig, PathStat
from lamina.oci.containerconfig import ContainerConfig
from lamina.snapshots.mounting import mounts_below
from lamina.snapshots.stopping import Stopped
from tests.unit.engine.sources import members
from tests.unit.engine.test_containers import create, docker, logs, run
from tests.unit.layers.archives import DIRECTORY, FILE, LINK, SYMLINK, Entry, archive
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

__all__ = ["docker"]


async def get(engine: Engine, id: str, path: str) -> tuple[PathStat, bytes]:
    async with engine.container_archive(id, path=path) as found:
        return found.stat, b"".join([piece async for piece in found])


async def put(engine: Engine, id: str, path: str, *entries: Entry, **options: bool) -> None:
    await engine.put_container_archive(
        id,
        io.BytesIO(archive(entries)),
        path=path,
        no_overwrite_dir_non_dir=options.get("no_overwrite", False),
        copy_uidgid=options.get("copy_owner", False),
    )


@pytest.fixture(params=["running", "ended"])
async def container(request: pytest.FixtureRequest, docker: Engine) -> str:
    """A container with some files, that runs or does not any more."""
    script = (
        "mkdir -p /d/e; echo 1 >/d/f; ln -s f /d/l; ln -s /etc /d/abs; ln -s ../../../../etc /d/up;"
        " ln /d/f /d/g; mkfifo /d/p"
    )
    id = await create(docker, "sh", "-c", f"{script}; echo; read x", open_stdin=True)
    await docker.container_start(id)
    async with docker.container_attach(id, stdin=True, logs=True) as attached:
        async for _ in attached:
            break
        if request.param == "ended":
            await attached.write(b"\n")
            await docker.container_wait(id)
    return id


async def test_a_directory_comes_out(docker: Engine, container: str) -> None:
    stat, data = await get(docker, container, "/d")
    assert (stat.name, stat.mode & 1 << 31) == ("d", 1 << 31)
    assert members(data) == {
        "d": "", "d/abs": "/etc", "d/e": "", "d/f": b"1\n", "d/g": "d/f", "d/l": "f", "d/p": "",
        "d/up": "../../../../etc",
    }  # fmt: skip
    _, data = await get(docker, container, "/d/.")
    assert {"./f", "./e"} <= members(data).keys()


async def test_links_are_followed_within_the_container(docker: Engine, container: str) -> None:
    stat, data = await get(docker, container, "/d/l")
    assert (stat.name, stat.mode & 1 << 27, stat.link_target) == ("l", 1 << 27, "/d/f")
    assert members(data) == {"l": "f"}
    for link in ("abs", "up"):
        _, data = await get(docker, container, f"/d/{link}/passwd")
        assert "nobody" in str(members(data)["passwd"])
    stat = await docker.container_archive_info(container, path="/d/../d/f")
    assert (stat.name, stat.size, stat.mode) == ("f", 2, 0o644)
    with pytest.raises(NotFound, match=f"Could not find the file /x/y in container {container}"):
        await get(docker, container, "/x/y")


async def test_files_go_in(docker: Engine, container: str) -> None:
    await put(
        docker,
        container,
        "/d/e",
        ("new/deep", FILE, b"2"), ("link", SYMLINK, "/"), ("hard", LINK, "new/deep"),
        (".wh.file", FILE, b"no whiteout"),
    )  # fmt: skip
    _, data = await get(docker, container, "/d/e")
    found = members(data)
    assert (found["e/hard"], found["e/new/deep"]) == (b"2", "e/hard")
    assert found["e/.wh.file"] == b"no whiteout"
    with pytest.raises(InvalidParameter, match="extraction point is not a directory"):
        await put(docker, container, "/d/f")
    with pytest.raises(NotFound, match="Could not find the file /none in container"):
        await put(docker, container, "/none")
    with pytest.raises(InvalidParameter):
        await docker.put_container_archive(container, io.BytesIO(b"x" * 5000), path="/d")


async def test_nothing_goes_out_of_the_container(
    docker: Engine, container: str, tmp_path: Path
) -> None:
    (tmp_path / "target").mkdir()
    target = f"{tmp_path}/target"
    await put(
        docker,
        container,
        "/d",
        ("out", SYMLINK, target), ("out/file", FILE, b"x"),
        ("far", SYMLINK, "/".join([".."] * 20) + target), ("far/file", FILE, b"z"),
    )  # fmt: skip
    assert os.listdir(target) == []  # noqa: PTH208
    with pytest.raises(InvalidParameter, match="outside of the archive"):
        await put(docker, container, "/d", ("../../../up", FILE, b"y"))
    _, data = await get(docker, container, f"{target}/file")
    assert members(data) == {"file": b"z"}


async def test_who_gives_up_looking_leaves_nothing_mounted(docker: Engine, root: Path) -> None:
    id = await create(docker, "true")
    looking = asyncio.create_task(docker.container_archive_info(id, path="/etc"))
    while not mounts_below(root):  # noqa: ASYNC110
        await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert mounts_below(root) == []


def replaced(pid: int) -> "subprocess.Popen[bytes]":
    """Kill a process, and have one of the host's get its ID. Blocks the loop meanwhile."""
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        pass
    for _ in range(1000):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        other = subprocess.Popen(["sleep", "1000"])
        if other.pid == pid:
            return other
        other.kill()
        other.wait()
    raise AssertionError


async def test_nothing_is_seen_of_a_process_that_has_got_the_containers_id(
    docker: Engine, tmp_path: Path
) -> None:
    (tmp_path / "secret").touch()
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    other = replaced((await docker.container_inspect(id)).state.pid)
    try:
        with pytest.raises(NotFound):
            await docker.container_archive_info(id, path=f"{tmp_path}/secret")
    finally:
        other.kill()
        other.wait()


async def test_nobody_joins_a_process_that_has_got_the_containers_id(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    host = HostConfig(network_mode=f"container:{id}", pid_mode=f"container:{id}")
    joining = await create(docker, "sleep", "1000", host=host)
    other = replaced((await docker.container_inspect(id)).state.pid)
    try:
        with pytest.raises(Conflict, match="cannot join"):
            await docker.container_start(joining)
    finally:
        other.kill()
        other.wait()


async def test_kinds_that_are_not_replaced(docker: Engine, container: str) -> None:
    with pytest.raises(
        InvalidParameter, match='cannot overwrite directory "/d/e" with non-directory'
    ):
        await put(docker, container, "/d", ("e", FILE, b""), no_overwrite=True)
    with pytest.raises(
        InvalidParameter, match='cannot overwrite non-directory "/d/f" with directory'
    ):
        await put(docker, container, "/d", ("f", DIRECTORY, ""), no_overwrite=True)
    await put(docker, container, "/d", ("e", FILE, b"3"))
    assert members((await get(docker, container, "/d/e"))[1]) == {"e": b"3"}


async def test_the_whole_comes_out(docker: Engine, container: str) -> None:
    async with docker.container_export(container) as archive:
        found = members(b"".join([piece async for piece in archive]))
    assert {"bin/busybox", "d/f", "etc/passwd", ".dockerenv", "proc"} <= found.keys()
    assert not any(name.startswith("proc/") for name in found)


async def test_others_may_come_while_files_are_read(
    docker: Engine, container: str, root: Path
) -> None:
    async with docker.container_export(container) as exported:
        stream = aiter(exported)
        pieces = [await anext(stream)]
        mounted = mounts_below(root)
        async with Engine.open(root):
            assert mounts_below(root) == mounted
        pieces += [piece async for piece in stream]
    assert "bin/busybox" in members(b"".join(pieces))


async def test_owners_are_the_containers_user(docker: Engine) -> None:
    id = await create(docker, "true", user="nobody")
    await put(docker, id, "/tmp", ("f", FILE, b""), copy_owner=True)
    async with docker.container_archive(id, path="/tmp/f") as found:
        data = b"".join([piece async for piece in found])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getmember("f").uid == 65534


async def test_what_is_read_only(docker: Engine, tmp_path: Path) -> None:
    host = HostConfig(readonly_rootfs=True, binds=(f"{tmp_path}:/rw", f"{tmp_path}:/ro:ro"))
    id = await create(docker, "true", host=host)
    with pytest.raises(Forbidden, match="container rootfs is marked read-only"):
        await put(docker, id, "/", ("f", FILE, b""))
    with pytest.raises(Forbidden, match="mounted volume is marked read-only"):
        await put(docker, id, "/ro", ("f", FILE, b""))
    await put(docker, id, "/rw", ("f", FILE, b"1"))
    assert (tmp_path / "f").read_bytes() == b"1"


async def test_a_commit(docker: Engine) -> None:
    id, _ = await run(docker, "sh", "-c", "echo 1 >/new; rm /etc/group", env=("A=1",))
    made = await docker.image_commit(
        id, repo="made", tag="2", comment="why", author="who", changes=["ENV B=2", 'CMD ["sh"]']
    )
    image = await docker.image_inspect("made:2")
    base = await docker.image_inspect("busybox:test")
    assert (image.id, image.parent, image.author) == (made.id, base.id, "who")
    assert str(image.root_fs.layers).startswith(str(base.root_fs.layers)[:-1])
    assert image.config is not None
    assert (image.config.env, image.config.cmd) == (("A=1", "PATH=/bin", "B=2"), ("sh",))
    newest, *_ = await docker.image_history("made:2")
    assert (newest.comment, newest.created_by) == ("why", "sh -c echo 1 >/new; rm /etc/group")
    other = await docker.container_create(
        ContainerConfig(image="made:2", cmd=("sh", "-c", "cat /new; ls /etc"))
    )
    await docker.container_start(other.id)
    await docker.container_wait(other.id)
    lines = (await logs(docker, other.id))[0][1].split()
    assert lines == ["1", "hostname", "hosts", "mtab", "passwd", "resolv.conf"]


async def test_a_commit_of_nothing_new_adds_no_layer(docker: Engine) -> None:
    id, _ = await run(docker, "true")
    made = await docker.image_commit(id)
    image = await docker.image_inspect(made.id)
    assert image.root_fs.layers == (await docker.image_inspect("busybox:test")).root_fs.layers
    assert (await docker.image_history(made.id))[0].size == 0
    assert image.repo_tags == []


async def test_a_commit_of_what_runs(docker: Engine) -> None:
    id = await create(docker, "sh", "-c", "echo 1 >/new; echo; sleep 1000")
    await docker.container_start(id)
    async with docker.container_logs(id, follow=True) as output:
        async for _ in output:
            break
    body = ContainerConfig(cmd=("true",), labels={"own": "1"})
    made = await docker.image_commit(id, container_config=body)
    config = (await docker.image_inspect(made.id)).config
    assert config is not None
    assert (config.cmd, config.labels) == (("true",), {"own": "1"})
    assert (await docker.container_inspect(id)).state.status == "running"
    with pytest.raises(ContainerNotFound):
        await docker.image_commit("none")
    with pytest.raises(InvalidParameter):
        await docker.image_commit(id, changes=["RUN true"])
    with pytest.raises(InvalidParameter):
        await docker.image_commit(id, repo="UPPER")


async def test_an_image_outlives_the_container_it_was_made_of(docker: Engine) -> None:
    id, _ = await run(docker, "sh", "-c", "echo 1 >/new")
    await docker.image_commit(id, repo="made")
    await docker.container_delete(id)
    with pytest.raises(Conflict, match="dependent child images"):
        await docker.image_delete((await docker.image_inspect("busybox:test")).id)
    await docker.image_delete("made")


class Recording(ThreadPoolExecutor):
    """Threads that keep in mind what they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Future[Any]] = []

    def submit(self, *call: Any, **named: Any) -> Future[Any]:  # noqa: ANN401 - as the base class
        future = super().submit(*call, **named)
        self.given.append(future)
        return future


async def test_who_gives_up_putting_files_in_leaves_no_thread_at_work(
    docker: Engine, root: Path
) -> None:
    """It would go on in descriptors that are closed by then, or somebody else's."""
    id = await create(docker, "true")
    threads = Recording()
    asyncio.get_running_loop().set_default_executor(threads)

    async def source() -> AsyncIterator[bytes]:
        # Small, and long at work.
        yield gzip.compress(archive([("big", FILE, bytes(256 << 20))]), 1)

    def is_at_work() -> bool:
        return any(root.glob("snapshots/*/snapshots/*/*/tmp/big"))

    putting = asyncio.create_task(docker.put_container_archive(id, source(), path="/tmp"))
    while not is_at_work():  # noqa: ASYNC110
        await asyncio.sleep(0)
    at_work = threads.given[-1]
    assert not at_work.done()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert isinstance(at_work.exception(timeout=0), Stopped)
