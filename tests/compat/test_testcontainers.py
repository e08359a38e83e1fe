"""testcontainers-python, with containers that publish no ports."""

from pathlib import Path

import pytest
from docker.errors import NotFound
from testcontainers.core.container import DockerContainer, ExecConfig
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
from testcontainers.core.waiting_utils import wait_for_logs

from tests.real.lamina_daemon import LaminaDaemon

IMAGE = "busybox:1"


@pytest.fixture(autouse=True)
def on_lamina(
    lamina_daemon: LaminaDaemon,
    with_busybox: object,  # noqa: ARG001 - it is there
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", lamina_daemon.host)
    # Its reaper comes from Docker Hub, and is reached at a published port.
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")


def log_message(message: str) -> LogMessageWaitStrategy:
    return LogMessageWaitStrategy(message).with_poll_interval(0.05)


def test_a_container_for_a_test(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("by the host\n")
    container = (
        DockerContainer(IMAGE)
        .with_command(["sh", "-c", "echo told >&2; cat /etc/greeting; exec sleep 1000"])
        .with_env("COLOUR", "blue")
        .with_volume_mapping(tmp_path, "/shared")
        .with_tmpfs_mount("/scratch")
        .with_copy_into_container(b"ready to serve\n", "/etc/greeting")
        .waiting_for(log_message("ready to serve"))
    )
    with container as running:
        wrapped = running.get_wrapped_container()
        running.reload()
        assert running.status == "running"
        assert running.get_logs() == (b"ready to serve\n", b"told\n")
        assert running.exec("cat /shared/given").output == b"by the host\n"
        asked = ExecConfig(["sh", "-c", "pwd; echo $COLOUR; exit 3"], workdir="/scratch")
        assert running.exec(asked) == (3, b"/scratch\nblue\n")
        running.exec(["sh", "-c", "echo made > /result"])
        running.copy_from_container("/result", tmp_path / "result")
        assert (tmp_path / "result").read_text() == "made\n"
        info = running.get_container_info()
        assert info is not None
        assert info.State is not None
        assert info.State.Running
        client = running.get_docker_client().client
        assert client.containers.list() == [wrapped]
    with pytest.raises(NotFound):
        client.containers.get(wrapped.id)


def test_logs_and_an_end_are_waited_for() -> None:
    command = ["sh", "-c", "echo begun; sleep 0.2; echo done; exit 4"]
    with DockerContainer(IMAGE).with_command(command) as running:
        assert wait_for_logs(running, log_message("done"), timeout=60, interval=0.05) >= 0
        assert running.wait() == 4
    # It was there to be removed, though it had ended.
    client = running.get_docker_client().client
    assert client.containers.list(all=True) == []
