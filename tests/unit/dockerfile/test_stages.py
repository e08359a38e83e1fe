"""`dockerd_builds.json` holds the error a dockerd 20.10 had for each Dockerfile, null for none. (It
said "line N" where newer ones, and Lamina, say "on line N".)
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lamina.dockerfile.source import DockerfileError, Lines, ParseError
from lamina.dockerfile.stages import parse_dockerfile, parse_trigger
from lamina.errors import InvalidParameter

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "dockerd_builds.json").read_text("utf-8")
)
TEXT = """\
ARG A=1 B
ARG C
FROM a AS One
RUN x
FROM one
FROM b as one
COPY c d
USER e
"""


def test_stages_and_global_arguments() -> None:
    dockerfile = parse_dockerfile(TEXT)
    assert [len(arg.arguments) for arg in dockerfile.arguments] == [2, 1]
    assert [(stage.index, stage.name, stage.base) for stage in dockerfile.stages] == [
        (0, "one", "a"),
        (1, "", "one"),
        (2, "one", "b"),
    ]
    assert [stage.title for stage in dockerfile.stages] == ["one", "stage-1", "one"]
    assert [item.keyword for item in dockerfile.stages[2].instructions] == ["COPY", "USER"]
    assert dockerfile.stages[2].lines == Lines(6, 6)


def test_stages_are_found_by_name_and_number() -> None:
    dockerfile = parse_dockerfile(TEXT)
    one, two, three = dockerfile.stages
    assert dockerfile.named("ONE") is three
    assert dockerfile.named("one", before=2) is one
    assert dockerfile.named("one", before=0) is None
    assert dockerfile.named("") is None
    assert dockerfile.find("1") is two
    assert dockerfile.find("busybox") is None
    for number in ("3", "9" * 5000):
        with pytest.raises(InvalidParameter, match="invalid stage index"):
            dockerfile.find(number)
    with pytest.raises(InvalidParameter, match="invalid stage index 1"):
        dockerfile.find("1", before=1)


def test_the_target_is_the_last_stage_or_the_one_named() -> None:
    dockerfile = parse_dockerfile(TEXT)
    assert dockerfile.target("").index == 2
    assert dockerfile.target("One").index == 2
    assert dockerfile.target("1").index == 1
    for name in ("two", "3", "٣"):
        with pytest.raises(InvalidParameter) as caught:
            dockerfile.target(name)
        assert str(caught.value) == f'target stage "{name}" could not be found'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "FROM a\n\nFRUM b",
            "dockerfile parse error on line 3: unknown instruction: FRUM (did you mean FROM?)",
        ),
        (
            "FROM a\nRUN x \\\n y\nUSER",
            "dockerfile parse error on line 4: USER requires exactly one argument",
        ),
    ],
)
def test_an_instruction_that_is_wrong_names_its_line(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_dockerfile(text)
    assert str(caught.value) == message
    assert message.endswith(caught.value.reason)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN x\nFROM a", "no build stage in current context"),
        ("ARG x", "dockerfile contains no stages to build"),
        ("", "file with no instructions"),
    ],
)
def test_a_file_without_stages(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(text.encode())
    assert str(caught.value) == message


def test_triggers_stand_where_their_from_does() -> None:
    where = Lines(7, 8)
    trigger = parse_trigger("COPY <<E /\n$x\nE", where)
    assert (trigger.keyword, trigger.lines) == ("COPY", where)
    assert parse_trigger("ENV a `\n b", where, escape="`").node.text == "ENV a  b"


@pytest.mark.parametrize("text", ["FROM a", "ONBUILD RUN a", "MAINTAINER a", "RUN a\nRUN b", ""])
def test_what_is_no_trigger(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse_trigger(text, Lines(1, 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row["dockerfile"]))
def test_dockerfiles_are_taken_and_refused_as_dockerd_does(row: dict[str, Any]) -> None:
    if row["error"] is None:
        assert parse_dockerfile(row["dockerfile"].encode()).stages
        return
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(row["dockerfile"].encode())
    assert str(caught.value) == row["error"]
