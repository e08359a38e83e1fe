import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.arguments import Pair
from lamina.dockerfile.heredoc import Heredoc
from lamina.dockerfile.parser import Node, parse, parse_line
from lamina.dockerfile.source import MAX_DOCKERFILE_SIZE, DockerfileError, Lines


def only(text: str) -> Node:
    (node,) = parse(text).nodes
    return node


def test_every_node_knows_its_lines() -> None:
    document = parse(
        "# syntax=x\n\nFROM a\n# c\nRUN one \\\n  # inside\n\n  two \\\n three\n"
        "COPY <<A <<B /\n1\nA\n2\nB\n"
    )
    assert [(node.keyword, node.lines) for node in document.nodes] == [
        ("from", Lines(3, 3)),
        ("run", Lines(5, 9)),
        ("copy", Lines(10, 14)),
    ]
    assert document.nodes[1].text == "RUN one   two  three"
    ((node, lines),) = document.empty_continuations
    assert (node, lines) == (document.nodes[1], Lines(9, 9))


def test_only_a_line_feed_ends_a_line() -> None:
    assert only("RUN a\x0b\x0c\x1c\x85\u2028b").lines == Lines(1, 1)
    assert only("RUN a\r\n").arguments == ("a",)
    assert only("RUN a \\\r\n b\r\n").arguments == ("a  b",)


def test_the_escape_character_can_be_chosen() -> None:
    document = parse("# Escape = `\nRUN a `\n b\\\nRUN c\n")
    assert document.escape == "`"
    assert [node.arguments for node in document.nodes] == [("a  b\\",), ("c",)]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("RUN a\\", ("a",)),
        ("RUN a\\\\", ("a\\\\",)),
        ("RUN a\\ \t\nb", ("ab",)),
        ("RUN a\\\\\nFROM b", ("a\\\\",)),
        ("\\\nRUN a", ("a",)),
        ("RUN a\\\n#c\n\n", ("a",)),
    ],
)
def test_continuations(text: str, arguments: tuple[str, ...]) -> None:
    assert parse(text).nodes[0].arguments == arguments


def test_directives_are_only_at_the_top() -> None:
    document = parse("#syntax=a:b c\n# CHECK=skip=all\n# x=y\n# escape=`\nRUN a")
    assert [(item.name, item.value, item.lines) for item in document.directives] == [
        ("syntax", "a:b c", Lines(1, 1)),
        ("check", "skip=all", Lines(2, 2)),
    ]
    assert document.escape == "\\"
    assert document.check_options.skip_all
    assert parse("\n# escape=`\nRUN a").escape == "\\"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "file with no instructions", 0),
        ("\n# only\n", "file with no instructions", 2),
        ("# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1),
        ("# syntax=x\n# SYNTAX=y", "only one syntax parser directive can be used", 2),
        ("FROM a\nRUN <<EOF\na\n", "unterminated heredoc", 2),
        ("FROM a\nENV x", "ENV must have two arguments", 2),
        (
            "FROM a\n\nLABEL a=b c",
            'Syntax error - can\'t find = in "c". Must be of the form: name=value',
            3,
        ),
        (
            'CMD ["a", 1]',
            "when using JSON array syntax, arrays must be comprised of strings only",
            1,
        ),
        ("RUN " + "x" * 65532 + "\n", "dockerfile line greater than max allowed size of 65535", 1),
        ("RUN " + "é" * 33000, "dockerfile line greater than max allowed size of 65535", 1),
    ],
)
def test_what_is_no_dockerfile(text: str, message: str, line: int) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert str(caught.value) == message
    assert caught.value.lines.start == line


def test_size_has_a_bound() -> None:
    with pytest.raises(DockerfileError, match="larger than"):
        parse("#\n" * (MAX_DOCKERFILE_SIZE // 2 + 1))
    assert parse("RUN " + "x" * 65531 + "\n").nodes
    with pytest.raises(DockerfileError, match="more than 10000 instructions"):
        parse("RUN a\n" * 10_001)


def test_a_byte_order_mark_and_broken_utf8_are_taken() -> None:
    assert parse(b"\xef\xbb\xbfRUN a").nodes[0].name == "RUN"
    assert parse(b"RUN \xff\xfe").nodes[0].arguments == ("\ufffd\ufffd",)


def test_comments_above_belong_to_a_node() -> None:
    document = parse("# one\n# two\nFROM a\n# gone\n#\n# three\nRUN b\nRUN c\n# x\n\nRUN d")
    assert [node.comments for node in document.nodes] == [("one", "two"), ("three",), (), ()]


@pytest.mark.parametrize(
    ("line", "flags", "arguments"),
    [
        ("COPY --from=a --link b c", ("--from=a", "--link"), ("b", "c")),
        ("COPY --chown='a b' --x=\"c\"d e f", ("--chown=a b", "--x=cd"), ("e", "f")),
        ("COPY --a\\ b c d", ("--a b",), ("c", "d")),
        ("COPY -- --b c", (), ("--b", "c")),
        ("COPY -a b", (), ("-a", "b")),
        ("COPY --a", ("--a",), ()),
        ("COPY a --b c", (), ("a", "--b", "c")),
    ],
)
def test_flags(line: str, flags: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    node = parse_line(line)
    assert (node.flags, node.arguments) == (flags, arguments)


@pytest.mark.parametrize(
    ("line", "arguments", "is_json"),
    [
        ('RUN ["a", "b c"]', ("a", "b c"), True),
        ("RUN [\"a\", 'b']", ("[\"a\", 'b']",), False),
        ('RUN ["a"] b', ('["a"] b',), False),
        ("RUN []", (), True),
        ('RUN ["\\u00e9\\ud800"]', ("é\ufffd",), True),
        ("RUN [NaN]", ("[NaN]",), False),
        ("RUN " + "[" * 20000, ("[" * 20000,), False),
        ('COPY ["a b", "c"]', ("a b", "c"), True),
        ("COPY [a b", ("[a", "b"), False),
        ('HEALTHCHECK  cmd  ["x"]', ("cmd", "x"), True),
        ("HEALTHCHECK NONE", ("NONE",), False),
        ("USER  a b ", ("a b",), False),
        ("EXPOSE 1 \t 2", ("1", "2"), False),
        ('ARG a="b c" d', ('a="b c"', "d"), False),
    ],
)
def test_forms_of_arguments(line: str, arguments: tuple[str, ...], *, is_json: bool) -> None:
    node = parse_line(line)
    assert (node.arguments, node.is_json) == (arguments, is_json)


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("ENV a b  c ", (Pair("a", "b  c", legacy=True),)),
        ("ENV a=b c='d e' f=\"g h\" i=j\\ k", None),
        ("ENV a=", (Pair("a", ""),)),
        ('LABEL "a b"=c', (Pair('"a b"', "c"),)),
        ("ENV a==b", (Pair("a", "=b"),)),
        ("ENV a=b\\", (Pair("a", "b"),)),
        ("ENV", ()),
    ],
)
def test_pairs(line: str, pairs: tuple[Pair, ...] | None) -> None:
    if pairs is None:
        pairs = (Pair("a", "b"), Pair("c", "'d e'"), Pair("f", '"g h"'), Pair("i", "j\\ k"))
    assert parse_line(line).pairs == pairs


@pytest.mark.parametrize(
    ("text", "heredocs"),
    [
        ("RUN <<EOF\na\nb\nEOF", (Heredoc("EOF", "a\nb\n"),)),
        ("RUN <<-E\n\ta\n\tE", (Heredoc("E", "\ta\n", chomp=True),)),
        ("RUN <<'E' sh\n$a\nE", (Heredoc("E", "$a\n", expand=False),)),
        ('RUN <<"E"\nE', (Heredoc("E", "", expand=False),)),
        ("RUN <<\\E\nE\n", (Heredoc("E", ""),)),
        ("RUN 3<<E cat\nx\r\nE\r\n", (Heredoc("E", "x\r\n", file_descriptor=3),)),
        ("COPY <<a <<b /\n1\na\n2\nb", (Heredoc("a", "1\n"), Heredoc("b", "2\n"))),
        ("ONBUILD RUN <<E\nx\nE", (Heredoc("E", "x\n"),)),
        ("RUN <<E\n# kept \\\n\nE", (Heredoc("E", "# kept \\\n\n"),)),
        ("RUN a << b", ()),
        ("RUN a <<< b", ()),
        ("RUN x=$((1<<2))", ()),
        ("RUN echo '<<E'", ()),
        ("RUN it's <<E", ()),
        ('RUN ["a", "<<E"]', ()),
        ("ENV a=<<E", ()),
    ],
)
def test_heredocs(text: str, heredocs: tuple[Heredoc, ...]) -> None:
    assert only(text).heredocs == heredocs


def test_tabs_go_from_a_chomped_heredoc() -> None:
    (heredoc,) = only("RUN <<-E\n\t\ta\n b\n\tE").heredocs
    assert heredoc.text == "a\n b\n"


def test_a_trigger_is_a_node_of_its_own() -> None:
    node = only("onbuild copy --from=a b c")
    assert node.trigger is not None
    assert (node.trigger.keyword, node.trigger.flags) == ("copy", ("--from=a",))
    assert only("ONBUILD " * 5000 + "RUN x").trigger is not None


LINES = st.lists(
    st.sampled_from(
        [
            *(
                "FROM a",
                "RUN b \\",
                "COPY <<E /",
                "E",
                "# c",
                "",
                "  d \\",
                "ENV a=b 'c d'=e",
                "\t",
            ),
            *('CMD ["x"]', "ONBUILD RUN y", "LABEL a b", "\\", "RUN <<-'F' <<G", "\tF", "G", "ARG"),
        ]
    ),
    max_size=12,
)


@given(LINES)
def test_no_line_is_read_twice_or_left_out(lines: list[str]) -> None:
    try:
        document = parse("\n".join(lines))
    except DockerfileError:
        return
    covered = [
        number for node in document.nodes for number in range(node.lines.start, node.lines.end + 1)
    ]
    assert covered == sorted(set(covered))
    for number, line in enumerate(lines, 1):
        if number not in covered:
            assert line.strip() == "" or line.lstrip().startswith("#")


@given(LINES)
def test_a_node_written_out_again_reads_the_same(lines: list[str]) -> None:
    try:
        document = parse("\n".join(lines))
    except DockerfileError:
        return
    # A file may end in a lone continuation, which gives an instruction without a name.
    for node in filter(lambda node: node.name, document.nodes):
        text = node.text + "".join(
            f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs
        )
        again = only(text)
        assert (again.name, again.flags, again.arguments, again.pairs, again.heredocs) == (
            *(node.name, node.flags, node.arguments, node.pairs, node.heredocs),
        )


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        document = parse(text)
    except DockerfileError:
        return
    assert document.nodes


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        document = parse(b"FROM a\n" + data)
    except DockerfileError:
        return
    assert document.nodes[0].keyword == "from"
