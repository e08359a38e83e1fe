"""Outputs as values; what is written of them is told by test_exporting.py."""

from pathlib import Path

import pytest

from lamina.build.outputs import Export, check_outputs, csv_fields, parse_output
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput
from lamina.oci.reference import Reference


def names(*texts: str) -> tuple[Reference, ...]:
    return tuple(Reference.parse(text) for text in texts)


@pytest.mark.parametrize(
    ("text", "export"),
    [
        ("-", Export("tar", None)),
        ("type=tar,dest=-", Export("tar", None)),
        ("type=tar,dest=a/b.tar", Export("tar", Path("a/b.tar"))),
        ("a/b", Export("directory", Path("a/b"))),
        ("type=local,dest=a", Export("directory", Path("a"))),
        ("type=local,dest=-", Export("tar", None)),
        ("type=oci,dest=-", Export("archive", None)),
        ("TYPE=oci,tar=true,Dest=x", Export("archive", Path("x"))),
        ('type=docker,dest=x,"name=a,b:1"', Export("archive", Path("x"), names("a:latest", "b:1"))),
    ],
)
def test_what_is_written(text: str, export: Export) -> None:
    checked = check_outputs([parse_output(text)])
    assert (checked.names, checked.exports) == ((), (export,))


def test_what_is_not_written() -> None:
    outputs = [
        ImageBuildOutput(type=""),
        *map(
            parse_output,
            [
                "type=cacheonly",
                "type=image,push=false",
                'type=moby,"name=a,b:1"',
                "type=image,name=c",
            ],
        ),
    ]
    checked = check_outputs(outputs)
    assert (checked.names, checked.exports) == (names("a:latest", "b:1", "c:latest"), ())


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["type=x"], "invalid output type: x"),
        (["type=tar"], "output tar needs dest"),
        (["type=local,dest="], "output local needs dest"),
        (["type=tar,dest=x,y=z"], "unknown attribute of output tar: y"),
        (["type=image,dest=x"], "unknown attribute of output image: dest"),
        (["type=image,name=a,push=true"], "output image: push is not supported: push the image"),
        (["type=oci,dest=x,tar=false"], "output oci: a layout in a directory is not supported"),
        (["type=image,name=A"], "invalid reference format"),
        (["type=oci,dest=-", "-"], "multiple outputs not supported"),
    ],
)
def test_what_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        check_outputs([parse_output(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dest=x", "type is required for output"),
        ("type=tar,x", "invalid field 'x' must be a key=value pair in output"),
        ('"type=tar', "invalid output: "),
        ("type=tar,a=" + "x" * 200_000, "invalid output: field larger than"),
    ],
)
def test_what_is_malformed(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse_output(text)


def test_fields() -> None:
    assert csv_fields('A=b, c =d=e,"f=g,h"', "x") == {"a": "b", "c": "d=e", "f": "g,h"}
