"""`dockerd_changes.json` holds what a dockerd 20.10 answered to `import` with these changes: the
configuration it made (what is empty left out), or its error.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lamina.dockerfile.changes import apply_changes, working_directory
from lamina.errors import InvalidParameter
from lamina.oci.containerconfig import ContainerConfig

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "dockerd_changes.json").read_text("utf-8")
)


def filled(config: ContainerConfig) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(config))
    return {name: value for name, value in fields.items() if value not in (None, "", False, {}, [])}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row["changes"]))
def test_changes_are_made_as_dockerd_makes_them(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(InvalidParameter) as caught:
            apply_changes(ContainerConfig(), row["changes"])
        assert str(caught.value) == row["error"]
    else:
        assert filled(apply_changes(ContainerConfig(), row["changes"])) == row["config"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("FOO", "FOO is not a valid change command"),
        ("copy a b", "copy is not a valid change command"),
        ("EXPOSE --x 80", "unknown flag: --x"),
        ("HEALTHCHECK --retrys=1 CMD x", "unknown flag: --retrys (did you mean retries?)"),
        ("HEALTHCHECK --interval CMD x", "missing a value on flag: --interval"),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        (
            "HEALTHCHECK --interval=1s --interval=2s CMD x",
            "duplicate flag specified: --interval",
        ),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("STOPSIGNAL 0", "invalid signal: 0"),
    ],
)
def test_newer_engines_word_some_errors_otherwise(change: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        apply_changes(ContainerConfig(), [change])
    assert str(caught.value) == message


def test_newer_engines_take_more() -> None:
    config = apply_changes(
        ContainerConfig(env=("V=1",)),
        ["STOPSIGNAL SIGRTMIN+$V", "HEALTHCHECK --interval=0s --start-interval=2s CMD x"],
    )
    assert config.stop_signal == "SIGRTMIN+1"
    assert config.healthcheck is not None
    assert config.healthcheck.interval == 0
    assert config.healthcheck.start_interval == 2_000_000_000


def test_no_changes_leave_the_very_config() -> None:
    config = ContainerConfig(env=("A=b",))
    assert apply_changes(config, []) is config


def test_a_config_keeps_what_no_change_names() -> None:
    before = ContainerConfig(  # noqa: S604 (`shell` is a setting of images)
        env=("A=1", "B=2"),
        cmd=("old",),
        labels={"l": "1"},
        exposed_ports={"1/tcp": {}},
        volumes={"/v": {}},
        on_build=("RUN a",),
        hostname="h",
        shell=("/bin/bash", "-ec"),
        image="sha256:abc",
    )
    after = apply_changes(
        before,
        [
            "ENV A=$B C=$A",
            "LABEL l=2 m=$C",
            "EXPOSE 2",
            "VOLUME /w",
            "ONBUILD RUN $A",
            "CMD echo $A",
        ],
    )
    assert after.env == ("A=2", "B=2", "C=1")
    assert after.labels == {"l": "2", "m": "1"}
    assert after.exposed_ports == {"1/tcp": {}, "2/tcp": {}}
    assert after.volumes == {"/v": {}, "/w": {}}
    assert after.on_build == ("RUN a", "RUN $A")
    assert after.cmd == ("/bin/bash", "-ec", "echo $A")
    assert (after.hostname, after.image) == ("h", "sha256:abc")
    assert before.env == ("A=1", "B=2")


def test_an_entrypoint_lets_go_of_an_inherited_command_only() -> None:
    inherited = ContainerConfig(cmd=("old",))
    assert apply_changes(inherited, ["ENTRYPOINT x"]).cmd is None
    assert apply_changes(inherited, ["CMD new", "ENTRYPOINT x"]).cmd == ("/bin/sh", "-c", "new")


def test_one_bad_change_changes_nothing() -> None:
    config = ContainerConfig()
    with pytest.raises(InvalidParameter):
        apply_changes(config, ["ENV A=b", "EXPOSE x"])
    assert config == ContainerConfig()


def test_variables_that_double_are_stopped() -> None:
    lines = ["ENV A=xxxxxxxxxx"] + ["ENV A=$A$A$A$A"] * 20
    with pytest.raises(InvalidParameter, match="expansion is longer than"):
        apply_changes(ContainerConfig(), ["\n".join(lines)])


@pytest.mark.parametrize(
    ("current", "path", "result"),
    [
        ("", "a", "/a"),
        ("/a", "b/../c", "/a/c"),
        ("/a", "../../..", "/"),
        ("/a", "/b/../c/", "/b/../c/"),
        ("//a", "b", "/a/b"),
    ],
)
def test_working_directory(current: str, path: str, result: str) -> None:
    assert working_directory(current, path) == result
