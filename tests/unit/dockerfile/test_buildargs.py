import pytest

from lamina.dockerfile.buildargs import BuildArguments, platform_arguments
from lamina.dockerfile.instructions import Arg
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import Dockerfile, parse_dockerfile
from lamina.oci.platform import Platform


def started(text: str, arguments: BuildArguments) -> Dockerfile:
    dockerfile = parse_dockerfile(text)
    for instruction in dockerfile.arguments:
        arguments.declare_global(instruction, Expander())
    return dockerfile


def args(dockerfile: Dockerfile, stage: int) -> list[Arg]:
    return [item for item in dockerfile.stages[stage].instructions if isinstance(item, Arg)]


def test_what_the_build_is_given_beats_defaults() -> None:
    arguments = BuildArguments({"A": "given", "N": None, "X": "unused", "Y": None})
    dockerfile = started("ARG A=1 B=$A\nARG C=${B}2 N=n\nFROM $C\nARG A=d N E=$A", arguments)
    assert arguments.globals == {"A": "given", "B": "given", "C": "given2", "N": "n"}
    assert arguments.expand_global("$C-$U", Expander()).text == "given2-"
    stage = arguments.stage()
    assert stage.values == {}
    values = [stage.declare(item) for item in args(dockerfile, 0)[0].arguments]
    assert values == ["given", "n", "$A"]
    assert arguments.unconsumed == ("X", "Y")


def test_a_stage_sees_only_what_it_declares() -> None:
    arguments = BuildArguments({})
    dockerfile = started("ARG A=1\nFROM a\nARG A B\nFROM b\nARG B=2", arguments)
    first, second = arguments.stage(), arguments.stage()
    for item in args(dockerfile, 0)[0].arguments:
        first.declare(item)
    assert first.values == {"A": "1"}
    assert first.declared == {"A", "B"}
    for item in args(dockerfile, 1)[0].arguments:
        second.declare(item)
    assert second.values == {"B": "2"}
    assert second.declared == {"B"}


def test_proxies_need_no_declaration_and_leave_no_trace() -> None:
    arguments = BuildArguments({"http_proxy": "p", "NO_PROXY": "n"})
    dockerfile = started("FROM a\nARG NO_PROXY", arguments)
    stage = arguments.stage()
    assert stage.values == {"http_proxy": "p", "NO_PROXY": "n"}
    assert stage.recorded == {}
    stage.declare(args(dockerfile, 0)[0].arguments[0])
    assert stage.recorded == {"NO_PROXY": "n"}
    assert arguments.unconsumed == ()


def test_platforms_arguments_are_there_before_the_first_from() -> None:
    predefined = platform_arguments(
        Platform("linux", "amd64"), Platform("linux", "arm", "v7"), stage="out"
    )
    assert predefined["BUILDPLATFORM"] == "linux/amd64"
    assert predefined["TARGETPLATFORM"] == "linux/arm/v7"
    assert (predefined["TARGETARCH"], predefined["TARGETVARIANT"]) == ("arm", "v7")
    assert (predefined["TARGETOS"], predefined["TARGETSTAGE"]) == ("linux", "out")
    assert platform_arguments(Platform("linux"), Platform("linux"))["TARGETSTAGE"] == "default"
    arguments = BuildArguments({"TARGETARCH": "x"}, predefined)
    dockerfile = started("FROM a\nARG TARGETARCH TARGETOS=y TARGETVARIANT", arguments)
    assert arguments.expand_global("$TARGETOS/$TARGETARCH", Expander()).text == "linux/x"
    stage = arguments.stage()
    assert [stage.declare(item) for item in args(dockerfile, 0)[0].arguments] == ["x", "y", "v7"]


def test_a_bad_default_names_its_line() -> None:
    with pytest.raises(DockerfileError, match="is not allowed to be unset") as caught:
        started("\nARG A=${B:?}\nFROM a", BuildArguments({}))
    assert caught.value.lines.start == 2
