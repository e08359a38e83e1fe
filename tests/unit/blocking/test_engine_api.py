"""What an engine has beyond a client: containers, and looking into images."""

import inspect
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina import ContainerApi, Engine, blocking
from lamina.errors import ContainerNotFound, InvalidParameter, NotFound
from lamina.models import ExecConfig, HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, file, layer, make_image, small_image, tar_of

NO_NETWORK = HostConfig(network_mode="none")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[blocking.EngineApi]:
    with blocking.use(Engine.open(tmp_path / "root")) as engine:
        yield engine


@pytest.fixture
def busybox(engine: blocking.EngineApi) -> blocking.EngineApi:
    engine.image_load([tar_of(docker_archive((busybox_image(), ["busybox:1"])))]).result()
    return engine


def made(engine: blocking.EngineApi, *command: str, stdin: bool = False) -> str:
    config = ContainerConfig(
        image="busybox:1", cmd=command, open_stdin=stdin, stdin_once=stdin, attach_stdin=stdin
    )
    return engine.container_create(config, host_config=NO_NETWORK).id


def test_every_operation_is_there() -> None:
    operations = [name for name in vars(ContainerApi) if not name.startswith("_")]
    for name in operations:
        ours, theirs = (
            inspect.signature(getattr(of, name)) for of in (blocking.EngineApi, ContainerApi)
        )
        assert ours == theirs, name
        assert getattr(blocking.EngineApi, name).__doc__ == getattr(ContainerApi, name).__doc__


def test_a_life(busybox: blocking.EngineApi) -> None:
    id = made(busybox, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert busybox.container_start(id)
    assert busybox.container_wait(id).status_code == 3
    with busybox.container_logs(id) as logs:
        assert not logs.tty
        assert sorted((frame.stream, frame.data) for frame in logs) == [
            (1, b"out\n"),
            (2, b"err\n"),
        ]
    assert [summary.id for summary in busybox.container_list(all=True)] == [id]
    assert busybox.container_inspect(id).state.exit_code == 3
    assert [network.name for network in busybox.network_list(filters={"driver": "null"})] == [
        "none"
    ]
    busybox.container_delete(id)
    with pytest.raises(ContainerNotFound):
        busybox.container_inspect(id)


def test_talking_with_a_process(busybox: blocking.EngineApi) -> None:
    id = made(busybox, "cat", stdin=True)
    with busybox.container_attach(id, stdin=True) as line:
        busybox.container_start(id)
        line.write(b"hello\n")
        frames = iter(line)
        assert next(frames).data == b"hello\n"
        line.close_stdin()
        assert list(frames) == []
    assert busybox.container_wait(id).status_code == 0


def test_commands_inside(busybox: blocking.EngineApi) -> None:
    id = made(busybox, "sleep", "1000")
    busybox.container_start(id)
    config = ExecConfig(cmd=("sh", "-c", "echo $A; exit 5"), env=("A=x",), attach_stdout=True)
    exec = busybox.container_exec(id, config).id
    with busybox.exec_start(exec) as output:
        assert [frame.data for frame in output] == [b"x\n"]
    assert busybox.exec_inspect(exec).exit_code == 5
    stats = next(busybox.container_stats(id))
    assert stats.read
    busybox.container_kill(id)


def test_leaving_what_goes_on(busybox: blocking.EngineApi) -> None:
    """An iteration that is left ends, and with it what was entered."""
    id = made(busybox, "sh", "-c", "while :; do echo x; usleep 1000; done")
    busybox.container_start(id)
    with busybox.container_logs(id, follow=True) as logs:
        assert next(iter(logs)).data == b"x\n"
    with busybox.container_attach(id) as line:
        for frame in line:
            assert frame.data.startswith(b"x")
            break
    busybox.container_stop(id, t=0)


def test_files_of_a_container(busybox: blocking.EngineApi) -> None:
    id = made(busybox, "true")
    busybox.put_container_archive(id, [tar_of({"new": b"from here"})], path="/tmp")
    assert busybox.container_archive_info(id, path="/tmp/new").size == 9
    with busybox.container_archive(id, path="/tmp/new") as archive:
        assert archive.stat.name == "new"
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            assert tar.getnames() == ["new"]
    with busybox.container_export(id) as everything:
        assert b"from here" in b"".join(everything)
    assert [change.path for change in busybox.container_changes(id)] == ["/tmp", "/tmp/new"]
    with pytest.raises(NotFound), busybox.container_archive(id, path="/nothing"):
        pass


def test_files_of_an_image(engine: blocking.EngineApi) -> None:
    old = small_image("old")
    new = make_image(*old.layers, layer(file("data/1", "more"), file("new", "n" * 100_000)))
    engine.image_load(io.BytesIO(tar_of(docker_archive((old, ["i:1"]), (new, ["i:2"]))))).result()
    with engine.image_files("i:1") as before, engine.image_files("i:2") as after:
        assert str(after.id) == new.id
        assert after.find("/etc/link")[0] == "etc/hostname"
        assert [path for path, _ in after.listing("data")] == ["data/1"]
        assert "new" in [path for path, _ in after.walk()]
        assert b"".join(after.read("new")) == b"n" * 100_000
        assert {change.path for change in after.changes(before)} >= {"/new", "/data/1"}
        assert len(after.shares()) == len(new.layers)
        with pytest.raises(InvalidParameter, match="is a directory"):
            list(after.read("data"))
        with pytest.raises(NotFound):
            after.find("nothing")
