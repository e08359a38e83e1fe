import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lamina import __version__


def lamina(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lamina", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_version() -> None:
    for arguments in (["--version"], ["serve", "--version"]):
        done = lamina(*arguments)
        assert (done.returncode, done.stdout) == (0, f"lamina {__version__}\n")


def test_help_names_every_option() -> None:
    text = lamina("serve", "--help").stdout
    for option in (
        *("--root", "-H, --host", "--config", "--group", "--tlsverify", "--tlscacert", "--tlscert"),
        *("--tlskey", "--log-level", "--log-format", "--shutdown-timeout", "--version"),
    ):
        assert option in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no-such-key = 1", "there is no configuration key no-such-key"),
        ('hosts = ["tcp://0.0.0.0:0"]', "could become root"),
        ("tlsverify = true", "tlsverify needs tlscacert"),
    ],
)
def test_a_daemon_that_cannot_start_says_why(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "lamina.toml"
    config.write_text(text)
    done = lamina("serve", "--root", str(tmp_path / "root"), "--config", str(config))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_socket_that_another_daemon_has(tmp_path: Path) -> None:
    # A unix socket's path must stay below 108 bytes; a relative bind is not bound by that.
    directory = os.open(tmp_path, os.O_RDONLY)
    path = f"/proc/{os.getpid()}/fd/{directory}/s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        done = lamina("serve", "--root", str(tmp_path / "root"), "-H", f"unix://{path}")
    os.close(directory)
    assert done.returncode == 1
    assert "another daemon answers there" in done.stderr.splitlines()[-1]


def test_a_config_file_that_is_not_there(tmp_path: Path) -> None:
    done = lamina("serve", "--config", str(tmp_path / "missing.toml"))
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert "Traceback" not in done.stderr
