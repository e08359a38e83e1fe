"""From text to nodes: one node an instruction, with everything about how it was written.

The parser knows the forms of arguments and nothing of their meaning: an unknown instruction is a
node like any other. `reading.parse_instruction` gives nodes their meaning.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamina.dockerfile.arguments import (
    Pair,
    json_array,
    split_blanks,
    split_instruction,
    split_pairs,
    split_words,
)
from lamina.dockerfile.directives import CheckOptions, Directive, DirectiveReader
from lamina.dockerfile.gostrings import SPACES
from lamina.dockerfile.heredoc import Heredoc, heredocs_of_line
from lamina.dockerfile.source import (
    MAX_DOCKERFILE_SIZE,
    MAX_INSTRUCTIONS,
    MAX_LINE_SIZE,
    NOWHERE,
    DockerfileError,
    Lines,
)

_WITH_HEREDOCS = frozenset({"add", "copy", "run"})
_MAX_HEREDOCS = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction as written.

    `name` is as written, `keyword` in lower case. `text` is the logical line: continuations
    joined, comments gone. `arguments` are those of the instruction's form: words, or a single free
    text, or the texts of a JSON array if `is_json`; `pairs` those of ENV and LABEL; `trigger` is
    the instruction behind ONBUILD. `comments` are the ones right above, without their ``#``: an
    empty line or comment would part them from it.
    """

    name: str
    text: str
    lines: Lines = NOWHERE
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    is_json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    trigger: "Node | None" = None
    comments: tuple[str, ...] = ()

    @property
    def keyword(self) -> str:
        """The name in lower case, by which instructions are told apart."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed Dockerfile.

    `empty_continuations` are the nodes in which a continued line is followed by an empty one, with
    their last lines: BuildKit still accepts that, with a warning.
    """

    nodes: tuple[Node, ...]
    escape: str = "\\"
    directives: tuple[Directive, ...] = ()
    empty_continuations: tuple[tuple[Node, Lines], ...] = ()

    def directive(self, name: str) -> Directive | None:
        """The directive of that name, if the file has it."""
        return next((item for item in self.directives if item.name == name), None)

    @property
    def check_options(self) -> CheckOptions:
        """The options of the ``check`` directive; raises DockerfileError if it is malformed."""
        directive = self.directive("check")
        return CheckOptions.parse(directive.value if directive else "")


def decode(data: bytes) -> str:
    """The text of a Dockerfile; what is not UTF-8 becomes U+FFFD, a byte order mark goes."""
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def parse(source: str | bytes) -> Document:
    """Parse a Dockerfile; raises DockerfileError."""
    text = decode(source) if isinstance(source, bytes) else source.removeprefix("\ufeff")
    if len(text) > MAX_DOCKERFILE_SIZE:
        raise DockerfileError(f"Dockerfile is larger than {MAX_DOCKERFILE_SIZE} bytes")
    return _Parser(text).parse()


def parse_line(text: str, escape: str = "\\") -> Node:
    """Parse one logical line, such as a trigger recorded in an image; raises DockerfileError."""
    name, flags, rest = split_instruction(text)
    node = Node(name, text, flags=flags)
    match node.keyword:
        case "env" | "label":
            return replace(node, pairs=split_pairs(rest, escape, node.name.upper()))
        case "arg":
            return replace(node, arguments=split_words(rest, escape))
        case "expose" | "from":
            return replace(node, arguments=split_blanks(rest))
        case "add" | "copy" | "volume":
            array = json_array(rest)
            arguments = split_blanks(rest) if array is None else array
            return replace(node, arguments=arguments, is_json=array is not None)
        case "cmd" | "entrypoint" | "run" | "shell":
            arguments, is_json = _json_or_text(rest)
            return replace(node, arguments=arguments, is_json=is_json)
        case "healthcheck":
            return _healthcheck(node, rest)
        case "onbuild":
            return replace(node, trigger=_trigger(rest, escape))
        case "maintainer" | "stopsignal" | "user" | "workdir":
            return replace(node, arguments=(rest,) if rest else ())
        case _:
            return node


def _json_or_text(rest: str) -> tuple[tuple[str, ...], bool]:
    array = json_array(rest)
    if array is not None:
        return array, True
    return ((rest,) if rest else ()), False


def _healthcheck(node: Node, rest: str) -> Node:
    kind = re.split(f"[{SPACES}]", rest, maxsplit=1)[0]
    if not kind:
        return node
    arguments, is_json = _json_or_text(rest[len(kind) :].lstrip(SPACES))
    return replace(node, arguments=(kind, *arguments), is_json=is_json)


def _trigger(rest: str, escape: str) -> Node | None:
    if not rest:
        return None
    # Only one level has a meaning; a chain as long as the line allows would exhaust the stack.
    name, flags, _ = split_instruction(rest)
    if name.lower() == "onbuild":
        return Node(name, rest, flags=flags)
    return parse_line(rest, escape)


class _Parser:
    """One pass over the physical lines of a text; `number` is the last line read, from 1."""

    def __init__(self, text: str) -> None:
        self.lines = _physical_lines(text)
        self.number = 0
        self.directives = DirectiveReader()
        self.nodes: list[Node] = []
        self.comments: list[str] = []
        self.empty_continuations: list[tuple[Node, Lines]] = []

    def parse(self) -> Document:
        for line in self.read():
            self.instruction(line)
        if not self.nodes:
            raise DockerfileError(
                "file with no instructions", lines=Lines(self.number, self.number)
            )
        return Document(
            nodes=tuple(self.nodes),
            escape=self.directives.escape,
            directives=tuple(self.directives.seen.values()),
            empty_continuations=tuple(self.empty_continuations),
        )

    def read(self) -> Iterator[str]:
        """The lines that are left, with their ends. Several readers share one position."""
        for line in self.lines:
            self.number += 1
            # A character has four bytes at most: counting bytes is for the few long lines.
            if len(line) > MAX_LINE_SIZE // 4 and _size(line) > MAX_LINE_SIZE:
                raise DockerfileError(
                    f"dockerfile line greater than max allowed size of {MAX_LINE_SIZE}",
                    lines=Lines(self.number, self.number),
                )
            yield line

    def instruction(self, line: str) -> None:
        """Read what begins with `line`: nothing, a comment, a directive, or an instruction."""
        start = self.number
        line = line.rstrip("\r\n").lstrip(SPACES)
        is_directive = self.directives.read(line, start) is not None
        if line.startswith("#"):
            if not is_directive:
                self.comment(line)
            return
        first, continued = self.continuation(line)
        if not (first or continued):
            self.comments.clear()
            return
        parts = [first]
        empty: Lines | None = None
        if continued:
            empty = self.continued(parts)
        try:
            node = parse_line("".join(parts), self.directives.escape)
            heredocs = self.heredocs(node, start)
        except DockerfileError as error:
            raise error.on(Lines(start, self.number)) from None
        node = replace(
            node,
            lines=Lines(start, self.number),
            heredocs=heredocs,
            comments=tuple(self.comments),
        )
        self.comments.clear()
        if len(self.nodes) == MAX_INSTRUCTIONS:
            reason = f"Dockerfile has more than {MAX_INSTRUCTIONS} instructions"
            raise DockerfileError(reason, lines=node.lines)
        self.nodes.append(node)
        if empty is not None:
            self.empty_continuations.append((node, empty))

    def comment(self, line: str) -> None:
        text = line[1:].strip(SPACES)
        if text:
            self.comments.append(text)
        else:
            self.comments.clear()

    def continuation(self, line: str) -> tuple[str, bool]:
        """`line` without its escape character at the end, and whether there was one.

        Two of them are no continuation (and three are none, which is BuildKit's own imprecision).
        """
        bare = line.rstrip(" \t")
        escape = self.directives.escape
        if bare.endswith(escape) and not bare.endswith(escape * 2):
            return bare[:-1], True
        return line, False

    def continued(self, parts: list[str]) -> Lines | None:
        """Read continuation lines into `parts`; if one was empty, gives the last line of all."""
        has_empty = False
        for line in self.read():
            bare = line.rstrip("\r\n")
            stripped = bare.lstrip(SPACES)
            if stripped.startswith("#"):
                continue
            if not stripped:
                has_empty = True
                continue
            part, goes_on = self.continuation(bare)
            parts.append(part)
            if not goes_on:
                break
        return Lines(self.number, self.number) if has_empty else None

    def heredocs(self, node: Node, start: int) -> tuple[Heredoc, ...]:
        carrier = node.trigger or node
        if carrier.keyword not in _WITH_HEREDOCS or carrier.is_json or "<<" not in node.text:
            return ()
        announced = heredocs_of_line(node.text)
        if len(announced) > _MAX_HEREDOCS:
            raise DockerfileError(f"more than {_MAX_HEREDOCS} heredocs in one instruction")
        return tuple(self.heredoc(heredoc, start) for heredoc in announced)

    def heredoc(self, heredoc: Heredoc, start: int) -> Heredoc:
        content: list[str] = []
        for line in self.read():
            if heredoc.ends_at(line):
                return heredoc.with_content("".join(content))
            content.append(line)
        raise DockerfileError("unterminated heredoc", lines=Lines(start, self.number))


def _size(line: str) -> int:
    return len(line.removesuffix("\n").encode("utf-8", "surrogatepass"))


def _physical_lines(text: str) -> Iterator[str]:
    """Lines with their ends. Only a line feed ends one: `str.splitlines` knows many more."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
