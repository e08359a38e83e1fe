from dataclasses import replace

import pytest

from lamina.dockerfile import instructions as ins
from lamina.dockerfile.heredoc import Heredoc
from lamina.dockerfile.instructions import CommandLine, KeyValue
from lamina.dockerfile.parser import parse
from lamina.dockerfile.reading import INSTRUCTIONS, parse_instruction
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError, Lines
from lamina.oci.containerconfig import Healthcheck


def read(text: str) -> ins.Instruction:
    (node,) = parse(text).nodes
    return parse_instruction(node)


def expand(word: str) -> str:
    return Expander().expand(word, {"x": "X", "y": "Y Z"}).text


def test_every_instruction_has_its_type() -> None:
    types = [kind for kind in vars(ins).values() if isinstance(kind, type)]
    concrete = {kind.keyword for kind in types if issubclass(kind, ins.Instruction)}
    assert concrete - {""} == set(INSTRUCTIONS)


def test_an_instruction_keeps_its_source() -> None:
    node = parse("FROM a\n\n  user \\\n x ").nodes[1]
    user = parse_instruction(node)
    assert isinstance(user, ins.User)
    assert (user.user, user.code, user.lines) == ("x", "user  x", Lines(3, 4))
    assert (user.keyword, user.node.name) == ("USER", "user")


def test_from() -> None:
    origin = read("# Build where it builds\nFROM --platform=$P a:b@c As Build.1_x-y")
    assert isinstance(origin, ins.From)
    assert (origin.base, origin.name, origin.platform) == ("a:b@c", "build.1_x-y", "$P")
    described = read("# build compiles\nFROM a AS build")
    assert isinstance(described, ins.From)
    assert described.comment == "compiles"


def test_copy() -> None:
    copy = read(
        "COPY --from=$x --chown=$x:1 --chmod=0$x --link --parents=true --exclude=*.$x "
        "--exclude=b a $x $y"
    )
    assert isinstance(copy, ins.Copy)
    assert copy.expanded(expand) == replace(
        copy,
        sources=("a", "X"),
        destination="Y Z",
        chown="X:1",
        chmod="0X",
        exclude=("*.X", "b"),
    )
    assert (copy.source_from, copy.link, copy.parents) == ("$x", True, True)


def test_add() -> None:
    add = read("ADD --checksum=sha256:$x --keep-git-dir --unpack=FALSE --link=false a b")
    assert isinstance(add, ins.Add)
    assert (add.checksum, add.keep_git_dir, add.unpack, add.link) == (
        *("sha256:$x", True, False, False),
    )
    assert add.expanded(expand).checksum == "sha256:X"
    plain = read("ADD a b")
    assert isinstance(plain, ins.Add)
    assert (plain.keep_git_dir, plain.unpack) == (None, None)


def test_files_written_in_place() -> None:
    copy = read("COPY a <<-x <<'y' /d\n\t$x 'q'\n\tx\n$x\ny\n")
    assert isinstance(copy, ins.Copy)
    assert copy.sources == ("a",)
    assert [file.name for file in copy.files] == ["x", "y"]
    text = Expander(quotes_are_text=True)
    expanded = copy.with_files_expanded(lambda word: text.expand(word, {"x": "X"}).text)
    assert [file.text for file in expanded.files] == ["X 'q'\n", "$x\n"]


def test_run() -> None:
    run = read("RUN --mount=target=/a --mount=type=cache,target=/b --network=none x  y")
    assert isinstance(run, ins.Run)
    assert run.command == CommandLine(("x  y",), is_shell=True)
    assert run.command.with_shell(("sh", "-c")) == ("sh", "-c", "x  y")
    assert [mount.target for mount in run.mounts(expand)] == ["/a", "/b"]
    assert run.flags_used == ("mount", "network")
    assert (run.network, run.security) == (ins.Network.NONE, ins.Security.SANDBOX)
    exact = read('RUN --security=insecure ["x", "y"]')
    assert isinstance(exact, ins.Run)
    assert exact.command.with_shell(("sh", "-c")) == ("x", "y")
    assert exact.security is ins.Security.INSECURE
    script = read("RUN <<EOF\necho\nEOF")
    assert isinstance(script, ins.Run)
    assert script.command.files == (Heredoc("EOF", "echo\n"),)


def test_arg() -> None:
    arg = read("# a is first\nARG a b= $x=$x")
    assert isinstance(arg, ins.Arg)
    assert [(item.name, item.default, item.comment) for item in arg.arguments] == [
        ("a", None, "is first"),
        ("b", "", ""),
        ("$x", "$x", ""),
    ]
    assert arg.expanded(expand).arguments[2] == ins.Argument("X", "X")


def test_env_and_label() -> None:
    env = read("ENV $x=$y b='$x'")
    assert isinstance(env, ins.Env)
    assert env.expanded(expand).pairs == (KeyValue("X", "Y Z"), KeyValue("b", "$x"))
    label = read("LABEL a $x b")
    assert isinstance(label, ins.Label)
    assert label.expanded(expand).pairs == (KeyValue("a", "X b"),)


def test_what_is_never_expanded() -> None:
    for text in ("CMD $x", "ENTRYPOINT $x", 'SHELL ["$x"]', "ONBUILD RUN $x", "MAINTAINER $x"):
        instruction = read(text)
        assert instruction.expanded(expand) is instruction


def test_onbuild_keeps_heredocs() -> None:
    onbuild = read("onBuild  COPY <<A <<B /\n1\nA\n2\nB")
    assert isinstance(onbuild, ins.OnBuild)
    assert onbuild.trigger == "COPY <<A <<B /\n1\nA\n2\nB"
    assert isinstance(read(onbuild.trigger), ins.Copy)


def test_healthcheck() -> None:
    check = read('HEALTHCHECK --interval=1m1.5s --retries=3 CMD ["a","b"]')
    assert isinstance(check, ins.Healthcheck)
    assert check.config == Healthcheck(test=("CMD", "a", "b"), interval=61_500_000_000, retries=3)


def test_the_rest() -> None:
    shell = read('SHELL ["a", "-c"]')
    assert isinstance(shell, ins.Shell)
    assert shell.shell == ("a", "-c")
    expose = read("EXPOSE 90 80/udp")
    assert isinstance(expose, ins.Expose)
    assert expose.ports == ("80/udp", "90")
    volume = read("VOLUME a $x")
    assert isinstance(volume, ins.Volume)
    assert volume.expanded(expand).paths == ("a", "X")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FOO x", "unknown instruction: FOO (did you mean FROM?)"),
        ("runn x", "unknown instruction: runn (did you mean run?)"),
        ("Coppy x", "unknown instruction: Coppy (did you mean copy?)"),
        ("BADCMD", "unknown instruction: BADCMD"),
        ("x" * 1000, "unknown instruction: " + "x" * 1000),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b c", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1",
            'invalid name for build stage: "1", name can\'t start with a number or contain symbols',
        ),
        (
            "COPY a",
            (
                "COPY requires at least two arguments, but only one was provided. "
                "Destination could not be determined"
            ),
        ),
        ("COPY a <<E\nE", "COPY cannot accept a heredoc as a destination"),
        ("COPY --form=a b c", "unknown flag: --form (did you mean from?)"),
        ("COPY --link=maybe b c", "expecting boolean value for flag --link, not: maybe"),
        ("COPY --link= b c", "missing a value on flag: --link"),
        ("COPY --chown b c", "missing a value on flag: --chown"),
        ("COPY --link --link b c", "duplicate flag specified: --link"),
        ("RUN --network=hosts x", 'unsupported network mode "hosts" (did you mean host?)'),
        ("RUN --security=x x", 'unsupported security mode "x"'),
        (
            "RUN --mount=from=$x,target=/a x",
            "'from' doesn't support variable expansion, define alias stage instead",
        ),
        ("SHELL a b", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ENV =a", "ENV names can not be blank"),
        ("ARG =a", "ARG names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("USER --x a", "unknown flag: --x"),
        ('VOLUME [" "]', "VOLUME specified can not be an empty string"),
        ("HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --timeout=1ns CMD x", 'Interval "timeout" cannot be less than 1ms'),
    ],
)
def test_what_is_wrong_in_itself(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        read("\n" + text)
    assert str(caught.value) == message
    assert caught.value.lines.start == 2
