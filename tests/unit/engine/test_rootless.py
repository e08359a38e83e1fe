"""Containers in a user namespace with one user, as they are for who is not root."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import Unavailable
from lamina.models import ExecConfig, HostConfig
from tests.real import archives
from tests.real.images import busybox_image, tar_of
from tests.unit.engine.sources import load
from tests.unit.engine.test_containers import IMAGE, create, logs, run, text


@pytest.fixture
async def docker(root: Path) -> AsyncIterator[Engine]:
    async with Engine.open(root, snapshot_driver="overlay-userns") as engine:
        await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
        yield engine


async def test_a_life(docker: Engine) -> None:
    script = "cat /proc/self/uid_map; echo 1 >/new; exit 3"
    id, code = await run(docker, "sh", "-c", script, host=HostConfig(network_mode="none"))
    assert code == 3
    ((_, written),) = await logs(docker, id)
    assert written.split()[::2] == ["0", "1"]
    assert [change.path for change in await docker.container_changes(id)] == ["/new"]
    await docker.image_commit(id, repo="made")
    assert len(await docker.image_history("made")) == 2


async def test_a_terminal_and_more_processes(docker: Engine) -> None:
    id = await create(docker, "sh", "-c", "tty; sleep 1000", tty=True)
    await docker.container_start(id)
    config = ExecConfig(cmd=("tty",), tty=True, attach_stdout=True)
    made = await docker.container_exec(id, config)
    async with docker.exec_start(made.id) as attached:
        assert (await text(attached))[0][1].startswith("/dev/pts/")
    async with docker.container_archive(id, path="/etc/passwd") as archive:
        assert b"nobody" in b"".join([piece async for piece in archive])
    await docker.container_stop(id, t=0)


async def test_there_is_one_user_only(docker: Engine) -> None:
    id = await create(docker, "true", user="nobody")
    with pytest.raises(Unavailable, match="a container has one user only"):
        await docker.container_start(id)
