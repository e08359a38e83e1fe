"""Dockerfiles that are as large as they may be, each in the way that used to take the longest."""

import time
from collections.abc import Iterator, Sequence

import pytest

from lamina.build.plan import plan_build
from lamina.dockerfile.buildargs import BuildArguments
from lamina.dockerfile.changes import apply_changes
from lamina.dockerfile.checks import check
from lamina.dockerfile.ports import parse_ports
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import parse_dockerfile
from lamina.oci.containerconfig import ContainerConfig

MANY = range(150_000)


@pytest.fixture(autouse=True)
def no_time_to_speak_of() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < 8


def line(name: str, words: Sequence[str]) -> str:
    """One instruction, on as many lines as it takes."""
    return " \\\n".join([name, *(" ".join(words[at : at + 1000]) for at in MANY[::1000])])


def test_flags() -> None:
    mounts = [f"--mount=target=/{number}" for number in MANY]
    (stage,) = parse_dockerfile("FROM scratch\n" + line("RUN", [*mounts]) + " true").stages
    assert len(stage.instructions[0].node.flags) == len(MANY)


def test_variables() -> None:
    env = apply_changes(ContainerConfig(), [line("ENV", [f"a{n}={n}" for n in MANY])]).env
    assert env is not None
    assert len(env) == len(MANY)


def test_arguments_before_the_first_stage() -> None:
    dockerfile = parse_dockerfile(line("ARG", [f"a{n}=b" for n in MANY]) + "\nFROM $a7")
    plan = plan_build(dockerfile, target="", arguments=BuildArguments({}), labels={})
    assert plan.target.base == "b"


def test_arguments_of_a_stage() -> None:
    assert check(parse_dockerfile("FROM scratch\n" + line("ARG", [f"a{n}=b" for n in MANY]))) == ()


def test_comments() -> None:
    names = line("ARG", [f"a{number}" for number in MANY])
    dockerfile = parse_dockerfile(
        "# a7 is seven\n" + "# c\n" * len(MANY) + names + "\nFROM scratch"
    )
    assert dockerfile.arguments[0].arguments[7].comment == "is seven"


def test_words_of_nothing() -> None:
    assert Expander().expand("'' " * len(MANY) + "x", {}).words == ("x",)


def test_patterns_over_lines() -> None:
    text = "a\n" * 2 * len(MANY)
    assert Expander().expand("${v//a*b/}", {"v": text}).text == text


def test_long_patterns() -> None:
    with pytest.raises(DockerfileError, match="a pattern of 150001 characters is too long"):
        Expander().expand("${v/" + "?" * len(MANY) + "b/}", {"v": "a" * 1_000_000})


def test_ports() -> None:
    with pytest.raises(DockerfileError, match="more than 262144 ports are named"):
        parse_ports(f"{first}-65535" for first in range(1, 10_000))
    assert len(parse_ports(f"0-65535/{protocol}" for protocol in ("tcp", "udp", "sctp"))) == 3 << 16


@pytest.mark.parametrize("form", ["LABEL l{}=$v", "ENV e{}=$v", "VOLUME $v", "EXPOSE $v"])
def test_long_variables(form: str) -> None:
    name, word = form.split()
    words = " ".join(word.format(number) for number in range(3000))
    with pytest.raises(DockerfileError, match="the expansions of an instruction are longer than"):
        apply_changes(ContainerConfig(env=("v=" + "8" * 100_000,)), [f"{name} {words}"])


def test_long_arguments() -> None:
    doubled = "ARG a=" + "8" * 1000 + "\nARG a=$a$a" * 7
    words = " ".join(f"a{number}=$a" for number in range(3000))
    plan = plan_build(
        parse_dockerfile(f"{doubled}\nARG {words}\nFROM scratch"),
        target="",
        arguments=BuildArguments({}),
        labels={},
    )
    assert "the expansions of an instruction are longer than" in str(plan.problem)


def test_stages() -> None:
    names = [f"{'x' * 200}{number}" for number in range(5000)]
    copies = [f"FROM scratch AS {name}\nCOPY --from={name} a a" for name in names]
    dockerfile = parse_dockerfile("\n".join(copies))
    for _ in range(10):
        assert all(dockerfile.find(name, before=index) is None for index, name in enumerate(names))
        assert all(dockerfile.find(name) is not None for name in names)
