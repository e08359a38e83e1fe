import os
from pathlib import Path

import pytest

from lamina.cli.build_options import (
    build_arguments,
    extra_hosts,
    labels,
    outputs,
    secrets,
    size,
    ulimits,
)
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput, Ulimit


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("7", 7), ("64m", 64 << 20), ("1.5 GiB", 3 << 29), ("2kb", 2048), ("1T", 1 << 40)],
)
def test_sizes(text: str, expected: int) -> None:
    assert size(text, "-m, --memory") == expected


@pytest.mark.parametrize("text", ["-1", "m", "1x", "1 2", "\u0661", "9" * 400])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InvalidParameter, match='for "-m, --memory" flag: invalid size'):
        size(text, "-m, --memory")


def test_without_a_limit() -> None:
    assert size("-1", "--memory-swap", unlimited=True) == -1


def test_build_arguments() -> None:
    given = ["A=1", "B", "C", "D=", "E=a=b", "A=2"]
    expected = {"A": "2", "B": "here", "C": None, "D": "", "E": "a=b"}
    assert build_arguments(given, {"B": "here"}) == expected
    with pytest.raises(InvalidParameter):
        build_arguments(["=1"], {})


def test_labels() -> None:
    assert labels(["a", "b=c=d"]) == {"a": "", "b": "c=d"}


def test_extra_hosts() -> None:
    given = ["a:1.2.3.4", "b=::1", "c:[::1]", "d:host-gateway", "e:::1"]
    assert extra_hosts(given) == ["a:1.2.3.4", "b:::1", "c:::1", "d:host-gateway", "e:::1"]


@pytest.mark.parametrize("text", ["a", ":1.2.3.4", "a:b", "a:1.2.3"])
def test_no_extra_hosts(text: str) -> None:
    with pytest.raises(InvalidParameter, match="add-host"):
        extra_hosts([text])


def test_ulimits() -> None:
    assert ulimits(["nofile=10:20", "core=0", "nofile=5", "memlock=-1:-1"]) == [
        Ulimit(name="nofile", soft=5, hard=5),
        Ulimit(name="core", soft=0, hard=0),
        Ulimit(name="memlock", soft=-1, hard=-1),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "nofile",
        "nofile=",
        "nofile=2:1",
        "nofile=-1:5",
        "=1",
        "nope=1",
        "core=" + "9" * 5000,
        "core=9223372036854775808",
    ],
)
def test_no_ulimits(text: str) -> None:
    with pytest.raises(InvalidParameter, match="ulimit"):
        ulimits([text])


def test_secrets(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    environ = {"TOKEN": "t", "here": "h"}
    given = [
        f"id=a,src={file}",
        "id=b,env=TOKEN",
        "id=here",
        f"id=c,source={file},type=file",
        "type=env,id=d,src=TOKEN",
    ]
    expected = {"a": file, "b": b"t", "here": b"h", "c": file, "d": b"t"}
    assert secrets(given, environ) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("src=/x", "secret missing ID"),
        ("id=a,src=/does/not/exist", "failed to stat /does/not/exist"),
        ("id=a,env=NOPE", "environment variable NOPE"),
        ("id=a,type=tpm", "unsupported secret type tpm"),
        ("id=a,color=red", "unexpected key 'color'"),
        ("a", "key=value"),
    ],
)
def test_no_secrets(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        secrets([text], {})


def test_a_large_secret(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 1 << 20)
    with pytest.raises(InvalidParameter, match="too large"):
        secrets([f"id=a,src={file}"], {})


@pytest.mark.parametrize(
    ("text", "type", "attrs"),
    [
        ("-", "tar", {"dest": "-"}),
        ("out/dir", "local", {"dest": "out/dir"}),
        ("type=oci,dest=a.tar", "oci", {"dest": "a.tar"}),
        ("type=tar", "tar", {"dest": "-"}),
        ("type=docker", "image", {}),
        ("type=docker,dest=a.tar", "docker", {"dest": "a.tar"}),
        ('type=image,"name=a,b"', "image", {"name": "a,b"}),
        ("type=image,name=a:b", "image", {"name": "a:b"}),
    ],
)
def test_outputs(text: str, type: str, attrs: dict[str, str]) -> None:
    assert outputs([text]) == [ImageBuildOutput(type=type, attrs=attrs)]


def test_no_outputs() -> None:
    with pytest.raises(InvalidParameter, match="type is required"):
        outputs(["dest=a"])
