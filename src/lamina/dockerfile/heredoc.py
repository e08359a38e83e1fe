r"""Heredocs: files written inside a Dockerfile, ``COPY <<EOF /dest`` and ``RUN <<-"EOF" sh``."""

import posixpath
import re
from dataclasses import dataclass, replace

from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError

_HEREDOC = re.compile(r"([0-9]*)<<(-?)([^<]*)")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)

_MAX_NAME = 255
"""Bytes of a file's name, as Linux has it."""

_LINE = Expander(keep_quotes=True, keep_escapes=True, keep_unset=True)
_WORD = Expander(keep_unset=True)
_RAW_WORD = Expander(keep_unset=True, keep_quotes=True)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """One heredoc: its terminator's `name`, and the `content` with its line ends.

    `expand` is false if any of the name was quoted: variables then mean nothing in the content.
    `chomp` (``<<-``) lets tabs before the content's lines and the terminator go; `content` still
    has them, see `text`. `file_descriptor` is the number before ``<<``, for a shell.
    """

    name: str
    content: str = ""
    expand: bool = True
    chomp: bool = False
    file_descriptor: int = 0

    @property
    def text(self) -> str:
        """The content as the file will have it."""
        return chomped(self.content) if self.chomp else self.content

    @property
    def file_name(self) -> str:
        """What the file is called that it makes; raises DockerfileError if none can be."""
        name = posixpath.normpath(f"/{self.name}").lstrip("/")
        if not name or "/" in name or "\0" in name or len(name.encode()) > _MAX_NAME:
            raise DockerfileError(f"invalid name of a heredoc: {self.name!r}")
        return name

    def with_content(self, content: str) -> "Heredoc":
        """The same heredoc, read."""
        return replace(self, content=content)

    def ends_at(self, line: str) -> bool:
        """Whether `line`, with or without its end, is the terminator."""
        bare = line.rstrip("\r\n")
        return (bare.lstrip("\t") if self.chomp else bare) == self.name


def chomped(text: str) -> str:
    """`text` without the tabs at the beginnings of its lines."""
    return _LEADING_TABS.sub("", text)


def parse_heredoc(word: str) -> Heredoc | None:
    """The heredoc which a shell word announces, or None.

    Raises DockerfileError if its name's quotes do not end.
    """
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    words = _WORD.expand(match[3], {}).words
    if len(words) != 1:
        return None
    raw = _RAW_WORD.expand(match[3], {}).words
    quotes = sum(word.count("'") + word.count('"') for word in raw)
    expand = quotes == words[0].count("'") + words[0].count('"')
    # The number is a file descriptor; Go's parser of it saturates.
    descriptor = min(int(match[1] or "0"), 2**64 - 1) if len(match[1]) < 40 else 2**64 - 1
    return Heredoc(words[0], expand=expand, chomp=match[2] == "-", file_descriptor=descriptor)


def heredocs_of_line(line: str) -> tuple[Heredoc, ...]:
    """The heredocs which a line announces, in order, without content."""
    try:
        words = _LINE.expand(line, {}).words
    except DockerfileError:
        # Text for a shell other than this one, whose quoting is not to be judged here.
        return ()
    found = (parse_heredoc(word) for word in words)
    return tuple(heredoc for heredoc in found if heredoc is not None)
