"""Containers through an engine, on a real runtime."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lamina.container_api import Output
from lamina.engine import Engine
from lamina.errors import (
    Conflict,
    ContainerNotFound,
    ImageNotFound,
    InvalidFilter,
    InvalidParameter,
    LaminaError,
    NotFound,
    NotImplementedHere,
    StartFailed,
    Unavailable,
)
from lamina.models import (
    ContainerWaitResponse,
    ExecConfig,
    Health,
    HostConfig,
    LogConfig,
    Mount,
    RestartPolicy,
)
from lamina.oci.containerconfig import ContainerConfig, Healthcheck
from lamina.oci.timestamp import format_unix
from lamina.snapshots.mounting import mounts_below
from tests.real import archives
from tests.real.images import busybox_image, tar_of
from tests.unit.engine.sources import load
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

IMAGE = "busybox:test"


@pytest.fixture
async def docker(engine: Engine) -> Engine:
    await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
    return engine


async def create(
    engine: Engine,
    *command: str,
    name: str = "",
    host: HostConfig | None = None,
    **config: Any,  # noqa: ANN401 - a ContainerConfig's fields
) -> str:
    made = await engine.container_create(
        ContainerConfig(image=IMAGE, cmd=command or None, **config), host_config=host, name=name
    )
    return made.id


async def run(
    engine: Engine,
    *command: str,
    **more: Any,  # noqa: ANN401 - as above
) -> tuple[str, int]:
    """The ID and the exit status of a container that has run."""
    id = await create(engine, *command, **more)
    await engine.container_start(id)
    return id, (await engine.container_wait(id)).status_code


async def text(output: Output) -> list[tuple[int, str]]:
    """What was written, a stream at a time."""
    written = {1: b"", 2: b""}
    async for frame in output:
        written[frame.stream] += frame.data
    return [(stream, data.decode()) for stream, data in written.items() if data]


async def logs(
    engine: Engine,
    id: str,
    **query: Any,  # noqa: ANN401 - of `container_logs`
) -> list[tuple[int, str]]:
    async with engine.container_logs(id, **query) as output:
        return await text(output)


async def events(engine: Engine, since: int) -> list[str]:
    now = engine.system_events(since=str(since), until="0s", filters={"type": "container"})
    return [event.action async for event in now]


async def test_a_life(docker: Engine, root: Path) -> None:
    id = await create(docker, "sh", "-c", "echo out; echo err >&2; exit 3", name="one")
    found = await docker.container_inspect("one")
    assert (found.id, found.name, found.state.status) == (id, "/one", "created")
    assert await docker.container_start(id)
    assert (await docker.container_wait("/one")).status_code == 3
    assert await logs(docker, id) == [(1, "out\n"), (2, "err\n")]
    found = await docker.container_inspect(id[:10])
    assert (found.state.status, found.state.exit_code, found.state.pid) == ("exited", 3, 0)
    assert mounts_below(root) == []
    await docker.container_delete(id)
    with pytest.raises(ContainerNotFound, match=f"No such container: {id}"):
        await docker.container_inspect(id)
    assert list((root / "containers").iterdir()) == []
    assert await events(docker, 0) == ["create", "start", "die", "destroy"]


async def test_one_that_is_removed_when_it_ends(docker: Engine) -> None:
    id = await create(docker, "sh", "-c", "exit 4", host=HostConfig(auto_remove=True))
    waiting = asyncio.create_task(docker.container_wait(id, condition="removed"))
    await asyncio.sleep(0)
    await docker.container_start(id)
    assert (await waiting).status_code == 4
    assert await docker.container_list(all=True) == []


async def test_one_that_would_be_removed_can_be_restarted(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000", host=HostConfig(auto_remove=True))
    await docker.container_start(id)
    await docker.container_restart(id, t=0)
    assert (await docker.container_inspect(id)).state.running
    waiting = asyncio.create_task(docker.container_wait(id, condition="removed"))
    await docker.container_kill(id)
    assert (await waiting).status_code == 137


async def test_waiting_is_begun_before_it_is_said_to_be(docker: Engine) -> None:
    id = await create(docker, "true")
    begun = asyncio.Event()
    waiting = asyncio.create_task(docker.container_wait(id, condition="next-exit", begun=begun.set))
    await begun.wait()
    await docker.container_start(id)
    assert await waiting == ContainerWaitResponse(status_code=0)
    assert (await docker.container_wait(id, condition="not-running")).status_code == 0
    with pytest.raises(InvalidParameter):
        await docker.container_wait(id, condition="tomorrow")


async def test_what_cannot_be_started(docker: Engine) -> None:
    id = await create(docker, "/missing")
    with pytest.raises(StartFailed, match="no such file or directory"):
        await docker.container_start(id)
    state = (await docker.container_inspect(id)).state
    assert (state.status, state.exit_code) == ("created", 127)
    assert "no such file" in state.error
    gone = await create(docker, "missing", host=HostConfig(auto_remove=True))
    with pytest.raises(StartFailed, match=r"executable file not found in \$PATH"):
        await docker.container_start(gone)
    with pytest.raises(ContainerNotFound):
        await docker.container_inspect(gone)


@pytest.mark.parametrize(
    ("config", "host", "error", "words"),
    [
        ({"image": "none"}, {}, ImageNotFound, "No such image: none:latest"),
        ({"working_dir": "x"}, {}, InvalidParameter, "needs to be an absolute path"),
        ({}, {"network_mode": "x"}, NotFound, "network x not found"),
        ({}, {"memory": 1}, InvalidParameter, "Minimum memory limit allowed is 6MB"),
        ({}, {"binds": ("a:/b",)}, NotImplementedHere, "named volumes"),
        ({}, {"binds": ("a",)}, InvalidParameter, "invalid volume specification: 'a'"),
        ({}, {"binds": ("/a:b",)}, InvalidParameter, "mount path must be absolute"),
        (
            {},
            {"mounts": (Mount(type="bind", source="/none", target="/x"),)},
            InvalidParameter,
            "bind source path does not exist: /none",
        ),
        (
            {},
            {"auto_remove": True, "restart_policy": RestartPolicy(name="always")},
            InvalidParameter,
            "can't create 'AutoRemove' container with restart policy",
        ),
    ],
)
async def test_what_cannot_be_created(
    docker: Engine, config: dict[str, Any], host: dict[str, Any], error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        await docker.container_create(
            ContainerConfig(**{"image": IMAGE, "cmd": ("true",), **config}),
            host_config=HostConfig(**host),
        )
    assert await docker.container_list(all=True) == []


async def test_names(docker: Engine) -> None:
    id = await create(docker, "true", name="one")
    with pytest.raises(Conflict, match=f'The container name "/one" is already in use by.*{id}'):
        await create(docker, "true", name="one")
    with pytest.raises(InvalidParameter, match="Invalid container name"):
        await create(docker, "true", name="-x")
    other = await create(docker, "true")
    assert "_" in (await docker.container_inspect(other)).name
    with pytest.raises(Conflict, match="already in use"):
        await docker.container_rename(other, name="one")
    await docker.container_rename(other, name="two")
    assert (await docker.container_inspect("two")).id == other


async def test_stopping(docker: Engine) -> None:
    trap = "trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"
    id = await create(docker, "sh", "-c", trap)
    await docker.container_start(id)
    async with docker.container_logs(id, follow=True) as output:
        async for _ in output:
            break
    assert await docker.container_stop(id)
    assert not await docker.container_stop(id)
    assert (await docker.container_inspect(id)).state.exit_code == 7
    await docker.container_restart(id)
    await docker.container_stop(id, signal="KILL")
    assert (await docker.container_inspect(id)).state.exit_code == 137
    deaf = await create(docker, "sleep", "1000")
    await docker.container_start(deaf)
    await docker.container_stop(deaf, t=0)
    assert (await docker.container_inspect(deaf)).state.exit_code == 137


async def test_the_files_it_is_given(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000", hostname="here")
    assert (await docker.container_inspect(id)).hosts_path == ""
    await docker.container_start(id)
    found = await docker.container_inspect(id)
    assert Path(found.hostname_path).read_text() == "here\n"  # noqa: ASYNC240 - one line
    assert "here" in Path(found.hosts_path).read_text()  # noqa: ASYNC240


@contextmanager
def busy(root: Path, id: str) -> Iterator[None]:
    """Have something mounted where the runtime keeps a container's files."""
    (bundle,) = root.glob(f"run/*/bundles/{id}")
    (bundle / "busy").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", bundle / "busy"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", bundle / "busy"], check=True)


async def test_one_of_which_something_cannot_be_removed_has_ended(
    docker: Engine, root: Path
) -> None:
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    with busy(root, id):
        await docker.container_kill(id)
        async with asyncio.timeout(20):
            assert (await docker.container_wait(id)).status_code == 137
        assert (await docker.container_inspect(id)).state.status == "exited"
        assert mounts_below(root / "snapshots") == []


async def test_an_end_that_could_not_be_recorded_is_later(
    docker: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        os.kill((await docker.container_inspect(id)).state.pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while "has ended" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (await docker.container_inspect(id)).state.status == "running"
    async with asyncio.timeout(20):
        assert (await docker.container_wait(id)).status_code == 137
    assert (await docker.container_inspect(id)).state.status == "exited"


async def test_killing_and_pausing(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000")
    with pytest.raises(Conflict, match="is not running"):
        await docker.container_kill(id)
    await docker.container_start(id)
    assert not await docker.container_start(id)
    await docker.container_pause(id)
    assert (await docker.container_inspect(id)).state.paused
    with pytest.raises(Conflict, match="already paused"):
        await docker.container_pause(id)
    with pytest.raises(Conflict, match="cannot start a paused container"):
        await docker.container_start(id)
    await docker.container_unpause(id)
    with pytest.raises(Conflict, match="is not paused"):
        await docker.container_unpause(id)
    with pytest.raises(InvalidParameter, match="invalid signal: NOPE"):
        await docker.container_kill(id, signal="NOPE")
    await docker.container_kill(id)
    assert (await docker.container_wait(id)).status_code == 137


async def test_removing_what_runs(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    with pytest.raises(Conflict, match=f"You cannot remove a running container {id}"):
        await docker.container_delete(id)
    await docker.container_delete(id, force=True)
    assert await docker.container_list(all=True) == []


async def test_a_restart_policy(docker: Engine) -> None:
    policy = RestartPolicy(name="on-failure", maximum_retry_count=2)
    id = await create(docker, "sh", "-c", "exit 1", host=HostConfig(restart_policy=policy))
    waiting = [asyncio.create_task(docker.container_wait(id, condition="next-exit"))]
    await docker.container_start(id)
    for _ in range(2):
        await waiting[-1]
        waiting.append(asyncio.create_task(docker.container_wait(id, condition="next-exit")))
    assert (await waiting[-1]).status_code == 1
    found = await docker.container_inspect(id)
    assert (found.state.status, found.restart_count) == ("exited", 2)


async def test_health(docker: Engine) -> None:
    second = 1_000_000_000
    check = Healthcheck(
        test=("CMD-SHELL", "echo checked; test -e /well"), interval=second // 5, retries=2
    )
    id = await create(docker, "sleep", "1000", healthcheck=check)
    await docker.container_start(id)
    (row,) = await docker.container_list(filters={"health": "starting"})
    assert row.status.endswith("(health: starting)")
    seen = docker.system_events(since="1h", filters={"event": "health_status"})
    assert (await anext(seen)).action == "health_status: unhealthy"
    made = await docker.container_exec(id, ExecConfig(cmd=("touch", "/well")))
    async with docker.exec_start(made.id, detach=True):
        assert (await anext(seen)).action == "health_status: healthy"
    await seen.aclose()
    health = (await docker.container_inspect(id)).state.health
    assert isinstance(health, Health)
    assert (health.status, health.failing_streak) == ("healthy", 0)
    assert (health.log[-1].exit_code, health.log[-1].output) == (0, "checked\n")


async def checked(engine: Engine, id: str, what: Callable[[Health], bool]) -> Health:
    """How a container is, as soon as that is so."""
    async with asyncio.timeout(20):
        while True:
            health = (await engine.container_inspect(id)).state.health
            if isinstance(health, Health) and what(health):
                return health
            await asyncio.sleep(0.01)


async def test_nobody_is_found_ill_while_he_is_paused(docker: Engine) -> None:
    check = Healthcheck(test=("CMD", "true"), interval=10_000_000, retries=1)
    id = await create(docker, "sleep", "1000", healthcheck=check)
    await docker.container_start(id)
    await checked(docker, id, lambda health: health.status == "healthy")
    await docker.container_pause(id)
    await run(docker, "true")  # which takes longer than many checks
    await docker.container_unpause(id)
    now = format_unix(time.time_ns())
    health = await checked(docker, id, lambda health: health.log[-1].start > now)
    assert {result.exit_code for result in health.log} == {0}


async def test_a_check_that_cannot_be_begun_is_not_the_last(docker: Engine) -> None:
    check = Healthcheck(test=("CMD", "true"), interval=10_000_000, retries=1_000_000)
    id = await create(docker, "sleep", "1000", healthcheck=check)
    await docker.container_start(id)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        found = await checked(docker, id, lambda health: health.failing_streak > 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in found.log[-1].output
    await checked(docker, id, lambda health: health.status == "healthy")


async def test_what_a_check_says(docker: Engine) -> None:
    for script, code, output in (
        ("yes | head -c 5000", 0, "y\n" * 2048 + "..."),
        ("sleep 1000", -1, "Health check exceeded timeout (500ms)"),
    ):
        check = Healthcheck(test=("CMD-SHELL", script), interval=10_000_000, timeout=500_000_000)
        id = await create(docker, "sleep", "1000", healthcheck=check)
        await docker.container_start(id)
        health = await checked(docker, id, lambda health: bool(health.log))
        assert (health.log[0].exit_code, health.log[0].output) == (code, output)


async def test_nothing_goes_on_when_the_engine_is_closed(root: Path) -> None:
    hour = 3600 * 1_000_000_000
    mine = asyncio.all_tasks()
    async with Engine.open(root) as engine:
        await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
        check = Healthcheck(test=("CMD", "true"), interval=hour)
        await run(engine, "true", healthcheck=check)
        await create(engine, "sleep", "1000", name="on", healthcheck=check)
        await engine.container_start("on")
        made = await engine.container_exec("on", ExecConfig(cmd=("sleep", "1000")))
        async with engine.exec_start(made.id, detach=True):
            pass
        always = HostConfig(restart_policy=RestartPolicy(name="always"))
        await create(engine, "false", name="again", host=always)
        seen = engine.system_events(since="1h", filters={"event": "start", "container": "again"})
        await engine.container_start("again")
        for _ in range(3):
            await anext(seen)
        await seen.aclose()
    assert {task.get_coro() for task in asyncio.all_tasks() - mine} == set()


async def test_being_attached_from_the_start(docker: Engine) -> None:
    id = await create(docker, "cat", open_stdin=True, stdin_once=True)
    async with docker.container_attach(id, stdin=True) as attached:
        reading = asyncio.create_task(text(attached))
        await docker.container_start(id)
        await attached.write(b"through\n")
        await attached.close_stdin()
        assert await reading == [(1, "through\n")]
    assert (await docker.container_wait(id)).status_code == 0
    async with docker.container_attach(id, stream=False, logs=True) as attached:
        assert await text(attached) == [(1, "through\n")]


async def test_a_terminal(docker: Engine) -> None:
    script = "read x; stty size; exit 2"
    id = await create(docker, "sh", "-c", script, tty=True, open_stdin=True)
    async with docker.container_attach(id, stdin=True) as attached:
        assert attached.tty
        await docker.container_start(id)
        await docker.container_resize(id, h=12, w=34)
        await attached.write(b"\n")
        assert (await text(attached))[0][1].split() == ["12", "34"]
    assert (await docker.container_wait(id)).status_code == 2


async def test_logs(docker: Engine) -> None:
    id, _ = await run(docker, "sh", "-c", "for i in 1 2 3; do echo $i; done; echo -n end >&2")
    assert await logs(docker, id, tail="2") == [(1, "3\n"), (2, "end")]
    assert await logs(docker, id, stderr=False, tail="0") == []
    assert await logs(docker, id, stdout=False) == [(2, "end")]
    for nonsense in ("", "-1", "1_0", "9" * 5000, "\N{SUPERSCRIPT TWO}"):
        assert await logs(docker, id, tail=nonsense) == [(1, "1\n2\n3\n"), (2, "end")]
    ((_, line),) = await logs(docker, id, stdout=False, timestamps=True)
    time, _, word = line.partition(" ")
    assert (len(time), word) == (30, "end")
    assert await logs(docker, id, since="1h", until="0s") != []
    assert await logs(docker, id, until="1h") == []
    with pytest.raises(InvalidParameter, match="you must choose at least one stream"):
        await logs(docker, id, stdout=False, stderr=False)
    silent, _ = await run(docker, "echo", host=HostConfig(log_config=LogConfig(type="none")))
    with pytest.raises(NotImplementedHere, match="does not support reading"):
        await logs(docker, silent)


async def following(output: Output) -> AsyncIterator[str]:
    async for frame in output:
        yield frame.data.decode()


async def test_following_a_log(docker: Engine) -> None:
    id = await create(docker, "sh", "-c", "echo first; read x; echo $x", open_stdin=True)
    async with docker.container_attach(id, stdin=True) as attached:
        await docker.container_start(id)
        async with docker.container_logs(id, follow=True) as output:
            lines = following(output)
            assert await anext(lines) == "first\n"
            await attached.write(b"second\n")
            assert [line async for line in lines] == ["second\n"]


async def test_the_image_says_how_it_runs(docker: Engine) -> None:
    changes = [
        'ENTRYPOINT ["sh", "-c"]', 'CMD ["echo $A $B $HOME $PWD; id -u"]', "ENV A=1 B=2",
        "USER 7", "WORKDIR /tmp", "LABEL image=1", "STOPSIGNAL SIGINT",
    ]  # fmt: skip
    base = await create(docker, "true")
    await docker.image_commit(base, repo="configured", changes=changes)
    made = await docker.container_create(
        ContainerConfig(image="configured", env=("B=3",), labels={"own": "2"})
    )
    await docker.container_start(made.id)
    await docker.container_wait(made.id)
    assert await logs(docker, made.id) == [(1, "1 3 / /tmp\n7\n")]
    config = (await docker.container_inspect(made.id)).config
    assert (config.labels, config.stop_signal) == ({"image": "1", "own": "2"}, "SIGINT")
    assert config.hostname == made.id[:12]


async def test_binds_and_tmpfs(docker: Engine, tmp_path: Path) -> None:
    host = HostConfig(
        binds=(f"{tmp_path}/new:/bound", f"{tmp_path}:/locked:ro"),
        tmpfs={"/scratch": "size=1m"},
        mounts=(Mount(type="tmpfs", target="/other"),),
    )
    script = "echo 1 >/bound/file; touch /locked/x || touch /scratch/y /other/z && cat /proc/mounts"
    id, code = await run(docker, "sh", "-c", script, host=host)
    assert code == 0
    assert (tmp_path / "new/file").read_text() == "1\n"
    mounts = (await logs(docker, id))[0][1]
    assert "/scratch tmpfs rw,nosuid,nodev,noexec" in mounts
    points = (await docker.container_inspect(id)).mounts
    assert [(point.destination, point.rw) for point in points] == [
        ("/bound", True), ("/locked", False), ("/other", True),
    ]  # fmt: skip


async def test_anonymous_volumes_live_and_die_with_their_container(
    docker: Engine, root: Path
) -> None:
    script = "cat /etc/passwd | head -1; echo >>/etc/passwd x; touch /data/file"
    id, code = await run(docker, "sh", "-c", script, volumes={"/data": {}, "/etc": {}})
    assert code == 0
    assert (await logs(docker, id))[0][1].startswith("root:")
    assert await docker.container_changes(id) == [
        change for change in await docker.container_changes(id) if "passwd" not in change.path
    ]
    volumes = root / "volumes"
    assert len(list(volumes.iterdir())) == 2
    other, _ = await run(docker, "ls", "/data", host=HostConfig(volumes_from=(id,)))
    assert await logs(docker, other) == [(1, "file\n")]
    await docker.container_delete(other, v=True)
    assert len(list(volumes.iterdir())) == 2
    await docker.container_delete(id, v=True)
    assert list(volumes.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "names"),
    [("foo", ["foobar"]), ("foobar", ["foobar"]), ("bar", []), ("fo+", []), ("^foo", [])],
)
async def test_events_of_one_by_the_beginning_of_its_name(
    docker: Engine, wanted: str, names: list[str]
) -> None:
    await create(docker, name="foobar")
    await create(docker, name="other")
    told = docker.system_events(until="0s", filters={"container": wanted})
    assert [event.actor.attributes["name"] async for event in told] == names


async def test_lists(docker: Engine) -> None:
    first = await create(docker, "sleep", "1000", name="first", labels={"a": "1"})
    await docker.container_start(first)
    second, _ = await run(docker, "sh", "-c", "exit 5", name="second")

    async def found(**query: Any) -> list[str]:  # noqa: ANN401 - of `container_list`
        return [row.names[0] for row in await docker.container_list(**query)]

    assert await found() == ["/first"]
    assert await found(all=True) == ["/second", "/first"]
    assert await found(limit=1) == ["/second"]
    for filters, expected in (
        ({"exited": "5"}, ["/second"]),
        ({"status": "running"}, ["/first"]),
        ({"label": "a=1"}, ["/first"]),
        ({"name": "sec"}, ["/second"]),
        ({"id": second[:6]}, ["/second"]),
        ({"ancestor": IMAGE}, ["/second", "/first"]),
        ({"ancestor": "none"}, []),
        ({"before": "second"}, ["/first"]),
        ({"since": first}, ["/second"]),
        ({"network": "bridge"}, ["/second", "/first"]),
    ):
        assert await found(all=True, filters=filters) == expected
    with pytest.raises(InvalidFilter):
        await found(filters={"status": "asleep"})
    with pytest.raises(InvalidFilter):
        await found(filters={"nope": "1"})
    (row,) = await docker.container_list(size=True)
    assert (row.image, row.command, row.state) == (IMAGE, "sleep 1000", "running")
    assert row.status.startswith("Up ")
    assert row.size_root_fs != 0
    info = await docker.system_info()
    assert (info.containers, info.containers_running, info.containers_stopped) == (2, 1, 1)
    pruned = await docker.container_prune(filters={"label!": "a"})
    assert pruned.containers_deleted == [second]
    assert (await docker.container_prune()).containers_deleted is None


async def test_a_prune_goes_on_where_one_cannot_be_removed(docker: Engine, root: Path) -> None:
    stuck = await create(docker)
    (place,) = (root / "snapshots").glob("*/snapshots/*/")
    busy = place / "busy"
    busy.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", busy], check=True)  # noqa: ASYNC221
    try:
        others = {await create(docker) for _ in range(2)}
        pruned = await docker.container_prune()
    finally:
        # It has been moved with what it lies in.
        subprocess.run(["umount", *mounts_below(root)], check=True)  # noqa: ASYNC221
    assert others == set(pruned.containers_deleted or ()) - {stuck}
    assert await docker.container_list(all=True) == []


async def test_images_that_containers_use(docker: Engine) -> None:
    running = await create(docker, "sleep", "1000")
    (image,) = await docker.image_list()
    with pytest.raises(Conflict, match=rf"unable to remove repository reference .* {running[:12]}"):
        await docker.image_delete(IMAGE)
    with pytest.raises(Conflict, match=r"must be forced.*used by stopped container"):
        await docker.image_delete(image.id)
    await docker.container_start(running)
    with pytest.raises(Conflict, match=r"cannot be forced.*used by running container"):
        await docker.image_delete(image.id, force=True)
    assert (await docker.image_prune(filters={"dangling": False})).images_deleted is None
    await docker.container_stop(running, t=0)
    deleted = await docker.image_delete(image.id, force=True)
    assert [item.untagged for item in deleted if item.untagged] == [IMAGE]
    # Its layers stay as long as the container.
    await docker.container_start(running)
    assert (await docker.container_list())[0].image == image.id
    await docker.container_delete(running, force=True)


async def test_execs(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000", env=("A=1",), working_dir="/tmp")
    with pytest.raises(Conflict, match="is not running"):
        await docker.container_exec(id, ExecConfig(cmd=("true",)))
    await docker.container_start(id)
    streams = ExecConfig(
        cmd=("sh", "-c", "cat; echo $A $B $PWD; echo err >&2; exit 6"),
        env=("B=2",),
        attach_stdin=True,
        attach_stdout=True,
        attach_stderr=True,
    )
    made = (await docker.container_exec(id, streams)).id
    async with docker.exec_start(made) as attached:
        assert (await docker.container_inspect(id)).exec_ids == [made]
        await attached.write(b"in ")
        await attached.close_stdin()
        assert await text(attached) == [(1, "in 1 2 /tmp\n"), (2, "err\n")]
    found = await docker.exec_inspect(made)
    assert (found.running, found.exit_code, found.container_id) == (False, 6, id)
    with pytest.raises(Conflict, match="has already run"):
        async with docker.exec_start(made):
            pass
    missing = (await docker.container_exec(id, ExecConfig(cmd=("/missing",)))).id
    with pytest.raises(StartFailed, match="OCI runtime exec failed"):
        async with docker.exec_start(missing):
            pass
    assert (await docker.exec_inspect(missing)).exit_code == 126


async def test_what_ends_while_it_is_committed(docker: Engine) -> None:
    for number in range(8):
        id = await create(docker, "touch", "/made")
        await docker.container_start(id)
        assert (await docker.image_commit(id, repo="meanwhile", tag=str(number))).id
        if (await docker.container_inspect(id)).state.running:
            with suppress(Conflict):
                await docker.container_pause(id)


def is_pausing() -> bool:
    """Whether the program that pauses containers runs."""
    children: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            children += (task / "children").read_text().split()
    commands = []
    for pid in children:
        with suppress(OSError):
            commands.append(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    return any(b"pause" in command for command in commands)


async def test_a_commit_that_is_cancelled_leaves_nothing_frozen(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000")
    await docker.container_start(id)
    while True:
        committing = asyncio.create_task(docker.image_commit(id))
        while not (is_pausing() or committing.done()):  # noqa: ASYNC110 - nobody could tell
            await asyncio.sleep(0)
        while is_pausing():  # noqa: ASYNC110
            await asyncio.sleep(0)
        # It has just been paused, unless we were too slow to see that.
        if committing.cancel():
            break
    with pytest.raises(asyncio.CancelledError):
        await committing
    made = (await docker.container_exec(id, ExecConfig(cmd=("true",), attach_stdout=True))).id
    async with asyncio.timeout(20), docker.exec_start(made) as output:
        assert await text(output) == []
    assert (await docker.exec_inspect(made)).exit_code == 0
    assert (await docker.container_inspect(id)).state.status == "running"


async def test_processes_and_what_they_use(docker: Engine) -> None:
    id = await create(docker, "cat", "-", open_stdin=True)
    with pytest.raises(Conflict, match="is not running"):
        await docker.container_top(id)
    async with docker.container_attach(id, stdin=True) as attached:
        await docker.container_start(id)
        # Before it answers, the process may still be the OCI runtime's.
        await attached.write(b"begun")
        async for _ in attached:
            break
    top = await docker.container_top(id)
    assert [row[-1] for row in top.processes] == ["cat -"]
    assert (await docker.container_top(id, ps_args="-o pid,comm")).titles == ["PID", "COMMAND"]
    with pytest.raises(InvalidParameter):
        await docker.container_top(id, ps_args="; true")
    (stats,) = [stat async for stat in docker.container_stats(id, stream=False, one_shot=True)]
    assert stats.pids_stats.current == 1
    assert stats.memory_stats.usage


async def test_limits_can_be_changed(docker: Engine) -> None:
    id = await create(docker, "sleep", "1000", host=HostConfig(memory=64 << 20))
    await docker.container_start(id)
    await docker.container_update(id, HostConfig(memory=32 << 20, memory_swap=64 << 20))
    (stats,) = [stat async for stat in docker.container_stats(id, stream=False, one_shot=True)]
    assert stats.memory_stats.limit == 32 << 20
    with pytest.raises(LaminaError, match=rf"^Cannot update container {id}: (?!time=)[^\\]+$"):
        await docker.container_update(id, HostConfig(memory_swap=16 << 20))
    host = (await docker.container_inspect(id)).host_config
    assert (host.memory, host.memory_swap) == (32 << 20, 64 << 20)


async def test_without_a_runtime_all_but_running_works(root: Path) -> None:
    async with Engine.open(root, runtime="/missing") as engine:
        await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
        id = await create(engine, "true")
        with pytest.raises(Unavailable, match=r"no OCI runtime works here .* install .* runc"):
            await engine.container_start(id)
        state = (await engine.container_inspect(id)).state
        assert (state.status, state.exit_code) == ("created", 128)
        async with engine.container_archive(id, path="/etc/passwd") as archive:
            assert archive.stat.name == "passwd"
        await engine.image_commit(id, repo="made")
        await engine.container_delete(id)


_RUN_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from lamina.engine import Engine
from lamina.oci.containerconfig import ContainerConfig

async def main():
    async with Engine.open(Path(sys.argv[1])) as engine:
        config = ContainerConfig(image=sys.argv[2], cmd=("sleep", "9999"))
        made = await engine.container_create(config)
        await engine.container_start(made.id)
        print(made.id, flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""


async def run_elsewhere(root: Path) -> tuple[asyncio.subprocess.Process, str]:
    """Another process that runs a container, and the container's ID."""
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _RUN_AND_WAIT, str(root), IMAGE, stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    return other, (await other.stdout.readline()).decode().strip()


async def test_what_a_process_ran_that_was_killed_meanwhile(docker: Engine, root: Path) -> None:
    other, id = await run_elsewhere(root)
    assert (await docker.container_inspect(id)).state.running
    other.kill()
    await other.wait()
    # Each that asks is told how it is, also while it is found out for another.
    asked = await asyncio.gather(*(docker.container_inspect(id) for _ in range(3)))
    assert {found.state.exit_code for found in asked} == {137}
    assert await docker.container_list() == []
    assert await docker.container_start(id)


async def test_what_cannot_be_removed_of_a_killed_process(docker: Engine, root: Path) -> None:
    other, id = await run_elsewhere(root)
    other.kill()
    await other.wait()
    (bundle,) = (root / "run").glob(f"*/bundles/{id}")
    busy = bundle / "busy"
    busy.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", busy], check=True)  # noqa: ASYNC221
    try:
        assert len(await docker.container_list(all=True)) == 1
        async with Engine.open(root) as another:
            assert len(await another.container_list(all=True)) == 1
    finally:
        subprocess.run(["umount", busy], check=True)  # noqa: ASYNC221
    assert (await docker.container_inspect(id)).state.exit_code == 137


async def test_who_waits_for_a_container_of_a_process_that_is_killed(
    docker: Engine, root: Path
) -> None:
    other, id = await run_elsewhere(root)
    waiting = asyncio.create_task(docker.container_wait(id))
    following = asyncio.create_task(logs(docker, id, follow=True))
    other.kill()
    await other.wait()
    async with asyncio.timeout(30):
        assert (await waiting).status_code == 137
        assert await following == []


@pytest.mark.parametrize("verb", ["stop", "restart", "kill", "cp"])
async def test_what_is_done_to_the_container_of_a_killed_process(
    docker: Engine, root: Path, verb: str
) -> None:
    other, id = await run_elsewhere(root)
    other.kill()
    await other.wait()
    if verb == "stop":
        assert not await docker.container_stop(id)
    elif verb == "restart":
        await docker.container_restart(id)
        assert (await docker.container_inspect(id)).state.running
    elif verb == "kill":
        with pytest.raises(Conflict, match="is not running"):
            await docker.container_kill(id)
    else:
        async with docker.container_archive(id, path="/etc/passwd") as archive:
            assert archive.stat.name == "passwd"


async def test_what_still_runs_is_ended_with_the_engine(root: Path) -> None:
    async with Engine.open(root) as engine:
        await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
        id = await create(engine, "sleep", "1000")
        gone = await create(engine, "sleep", "1000", host=HostConfig(auto_remove=True))
        for each in (id, gone):
            await engine.container_start(each)
        async with Engine.open(root) as other:
            assert len(await other.container_list()) == 2
            with pytest.raises(Conflict, match="is run by another lamina process"):
                await other.container_kill(id)
    assert mounts_below(root) == []
    async with Engine.open(root) as engine:
        (row,) = await engine.container_list(all=True)
        assert (row.id, row.state) == (id, "exited")
        await engine.container_start(id)


async def test_an_engine_that_is_closed_leaves_nothing_running_though_it_is_cancelled(
    root: Path,
) -> None:
    runs = asyncio.Event()

    async def use() -> None:
        async with Engine.open(root) as engine:
            await load(engine, tar_of(archives.docker_archive((busybox_image(), [IMAGE]))))
            await engine.container_start(await create(engine, "sleep", "1000"))
            runs.set()
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    await runs.wait()
    for _ in range(2):
        using.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await using
    assert mounts_below(root) == []
    with closing(sqlite3.connect(root / "lamina.db")) as database:
        assert database.execute("SELECT status FROM containers").fetchall() == [("exited",)]
