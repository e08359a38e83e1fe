"""Whole Dockerfiles, well-formed or nearly so: read, checked and followed without surprises."""

from hypothesis import given, settings, strategies as st

from lamina.dockerfile.changes import ConfigEditor
from lamina.dockerfile.checks import CheckInput, CheckOptions, check
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.dockerfile.reading import INSTRUCTIONS
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import parse_dockerfile
from lamina.oci.containerconfig import ContainerConfig

WORDS = st.sampled_from(
    [
        *("a", "$A", "${B:-c}", "${C:?}", "'q w'", '"$A"', "x=y", "k=$A", '["a","b"]', "[1]", "80"),
        *("<<EOF", "--from=a", "--link", "--mount=type=cache,target=/c", "--platform=$P", "AS"),
        *("NONE", "CMD", "/d", "\\", "\\\n", "\n", "scratch", "--interval=1s", "#", "é"),
    ]
)
LINES = st.builds(
    lambda name, words: " ".join([name, *words]),
    st.sampled_from([*INSTRUCTIONS, "from", "FOO", "# check=skip=all", "EOF", ""]),
    st.lists(WORDS, max_size=5),
)
TEXTS = st.lists(LINES, max_size=10).map(lambda lines: "\n".join(["FROM scratch", *lines]))
BUILT = ("FROM", "ARG", "RUN", "COPY", "ADD")


@given(TEXTS)
@settings(max_examples=300)
def test_any_dockerfile_is_read_and_checked_or_refused(text: str) -> None:
    try:
        dockerfile = parse_dockerfile(text)
    except DockerfileError as error:
        assert error.lines.start >= 1  # noqa: PT017 (it may also succeed)
        return
    everything = CheckOptions(experimental_all=True)
    known = CheckInput(options=everything, ignore=IgnorePatterns(["a*"]))
    last = text.count("\n") + 1
    for warning in check(dockerfile, known):
        assert 1 <= warning.lines.start <= last


@given(TEXTS)
@settings(max_examples=300)
def test_metadata_is_followed_or_refused(text: str) -> None:
    try:
        dockerfile = parse_dockerfile(text)
    except DockerfileError:
        return
    editor = ConfigEditor(ContainerConfig(env=("A=1 2",)), Expander(escape=dockerfile.escape))
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if instruction.keyword in BUILT:
                continue
            try:
                editor.apply(instruction)
            except DockerfileError as error:
                assert error.lines == instruction.lines  # noqa: PT017 (it may also succeed)
