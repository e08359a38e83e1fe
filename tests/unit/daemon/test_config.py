import json
import math
from pathlib import Path
from typing import Any

import pytest

from lamina.daemon.config import BuilderConfig, DaemonConfig, InvalidConfig, read_config


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_every_key_of_toml(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "lamina.toml",
        """
        root = "/srv/lamina"
        hosts = ["unix:///run/l.sock", "tcp://127.0.0.1:2375"]
        group = "builders"
        tlsverify = true
        tlscacert = "/etc/ca.pem"
        tlscert = "/etc/cert.pem"
        tlskey = "/etc/key.pem"
        log-level = "warn"
        log-format = "json"
        shutdown-timeout = 3
        """,
    )
    config = read_config(path)
    assert config == DaemonConfig(
        root=Path("/srv/lamina"),
        hosts=("unix:///run/l.sock", "tcp://127.0.0.1:2375"),
        group="builders",
        tlsverify=True,
        tlscacert=Path("/etc/ca.pem"),
        tlscert=Path("/etc/cert.pem"),
        tlskey=Path("/etc/key.pem"),
        log_level="warn",
        log_format="json",
        shutdown_timeout=3.0,
    )
    assert config.tls is not None
    assert config.tls.key == Path("/etc/key.pem")


def test_a_daemon_json_of_dockerds(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "daemon.json",
        json.dumps(
            {
                "data-root": "/mnt/docker",
                "debug": True,
                "log-format": "text",
                "storage-driver": "overlay2",
                "log-opts": {"max-size": "10m"},
            }
        ),
    )
    config = read_config(path)
    assert config.root == Path("/mnt/docker")
    assert (config.log_level, config.log_format) == ("debug", "logfmt")
    assert config.ignored == ("storage-driver", "log-opts")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("root", 1),
        ("root", ""),
        ("hosts", "unix:///x"),
        ("hosts", [1]),
        ("tlsverify", "yes"),
        ("log-level", "loud"),
        ("log-level", []),
        ("log-format", "xml"),
        ("shutdown-timeout", -1),
        ("shutdown-timeout", True),
        ("shutdown-timeout", "3"),
        ("shutdown-timeout", math.inf),
        ("shutdown-timeout", math.nan),
        pytest.param("shutdown-timeout", 10**400, id="shutdown-timeout-huge"),
        ("builder", {"gc": {"defaultKeepStorage": "9" * 400}}),
        ("search-index", "index.example"),
        ("search-index", "http://[::"),
        ("search-index", "https://index.example:99999"),
        ("no-such-key", 1),
        ("log_level", "warn"),
    ],
)
def test_the_key_at_fault_is_named(tmp_path: Path, key: str, value: Any) -> None:  # noqa: ANN401
    path = write(tmp_path, "daemon.json", json.dumps({key: value}))
    with pytest.raises(InvalidConfig, match=key) as caught:
        read_config(path)
    assert caught.value.key == key
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.json", "{"), ("x.json", "[]"), ("x.json", "[" * 100_000), ("x.toml", "= 1")],
)
def test_files_that_make_no_sense(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        read_config(write(tmp_path, name, text))


@pytest.mark.parametrize("seconds", [math.inf, math.nan])
def test_a_time_on_the_command_line_that_never_passes(seconds: float) -> None:
    config = DaemonConfig().with_options({"shutdown_timeout": seconds})
    with pytest.raises(InvalidConfig, match="shutdown-timeout: expected a number of seconds"):
        config.resolved({}, uid=0)


def test_the_command_line_comes_first() -> None:
    config = DaemonConfig(root=Path("/a"), hosts=("unix:///a",), log_level="warn")
    options = {"root": Path("/b"), "hosts": (), "log_level": None, "tlsverify": False, "group": "g"}
    assert config.with_options(options) == DaemonConfig(
        root=Path("/b"), hosts=("unix:///a",), log_level="warn", group="g"
    )
    assert config.with_options({"shutdown_timeout": 0.0}).shutdown_timeout == 0


def test_the_defaults_of_root() -> None:
    config = DaemonConfig().resolved({"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0"}, uid=0)
    assert config.root == Path("/var/lib/lamina")
    assert config.hosts == ("unix:///run/lamina.sock",)


def test_the_defaults_of_others() -> None:
    config = DaemonConfig().resolved({"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"}, uid=7)
    assert config.root == Path("/home/u/.local/share/lamina")
    assert config.hosts == ("unix:///run/user/7/lamina.sock",)
    config = DaemonConfig().resolved({"XDG_DATA_HOME": "/data"}, uid=7)
    assert config.root == Path("/data/lamina")


def test_tls_needs_its_files() -> None:
    config = DaemonConfig(tlsverify=True, tlscacert=Path("/ca"), tlscert=Path("/cert"))
    with pytest.raises(InvalidConfig, match="tlsverify needs tlskey") as caught:
        config.resolved({}, uid=0)
    assert caught.value.key == "tlskey"


def test_without_tlsverify_there_is_no_tls() -> None:
    assert DaemonConfig(tlscacert=Path("/a"), tlscert=Path("/b"), tlskey=Path("/c")).tls is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[builder.gc]\ndefaultKeepStorage = '10GB'", BuilderConfig(keep_storage=10 << 30)),
        ("[builder.gc]\ndefaultKeepStorage = 5", BuilderConfig(keep_storage=5)),
        ("[builder.gc]\nenabled = false\ndefaultKeepStorage = '1MB'", BuilderConfig()),
        ("[builder.entitlements]\nsecurity-insecure = true", BuilderConfig(insecure=True)),
    ],
)
def test_builder(tmp_path: Path, text: str, expected: BuilderConfig) -> None:
    path = tmp_path / "lamina.toml"
    path.write_text(text)
    assert read_config(path).builder == expected


@pytest.mark.parametrize("text", ["[builder]\nx = 1", "[builder.gc]\ndefaultKeepStorage = 'much'"])
def test_bad_builder(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lamina.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match="builder: expected"):
        read_config(path)
