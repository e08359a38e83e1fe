"""Shell words: quotes, escapes and variables, as BuildKit's ``shell`` package understands them.

`Expander.expand` gives the whole text with quotes removed and variables replaced, and the same
split into words, as ``EXPOSE $PORTS`` needs it. The forms of a variable are those of the Dockerfile
reference: ``$v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?e} ${v?e} ${v#p} ${v##p} ${v%p} ${v%%p}
${v/p/r} ${v//p/r}``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lamina.dockerfile import patterns
from lamina.dockerfile.gostrings import SPACES, quote
from lamina.dockerfile.source import DockerfileError

MAX_EXPANSION: Final = 1 << 20
"""Characters of one expanded text: ``ENV a=$b$b`` doubles with every line."""

MAX_NESTING: Final = 50
"""Levels of ``${a:-${b:-…}}``."""

_DIGITS = re.compile(r"\d+")
_SPECIAL_PARAMETERS = "@*#?-$!0"
_SPACE_RUN = re.compile(f"[{SPACES}]+")


def environment(entries: Iterable[str]) -> dict[str, str]:
    """``NAME=value`` texts as a mapping; of two with one name, the last counts."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


@dataclass(frozen=True, slots=True)
class Expansion:
    """What became of a text: as one, as words, and which variables it asked for."""

    text: str
    words: tuple[str, ...]
    matched: frozenset[str]
    unmatched: frozenset[str]


@dataclass(frozen=True, slots=True)
class Expander:
    """How to read shell words.

    `escape` is the Dockerfile's escape character; `keep_quotes` and `keep_escapes` leave those
    characters in the result; `quotes_are_text` gives quotes no meaning; `keep_unset` leaves
    variables alone which the environment does not have.
    """

    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    quotes_are_text: bool = False
    keep_unset: bool = False

    def expand(self, text: str, env: Mapping[str, str]) -> Expansion:
        """Expand `text`; raises DockerfileError for what has no meaning."""
        if not any(char in text for char in ("$", "'", '"', self.escape)):
            words = tuple(word for word in _SPACE_RUN.split(text) if word)
            return Expansion(text, words, frozenset(), frozenset())
        reader = _Reader(self, text, env)
        try:
            result, parts = reader.until("", keep_escapes=self.keep_escapes)
        except DockerfileError as error:
            raise DockerfileError(f"failed to process {quote(text)}: {error}") from None
        return Expansion(
            result, tuple(parts), frozenset(reader.matched), frozenset(reader.unmatched)
        )


class Expansions:
    """The expansions of one instruction's words.

    Together they may be longer than what is written by no more than `MAX_EXPANSION`: a line has
    room for thousands of words that are a variable each.
    """

    def __init__(self, expander: Expander, env: Mapping[str, str]) -> None:
        self._expander = expander
        self._env = env
        self._room = MAX_EXPANSION

    def expand(self, word: str) -> Expansion:
        """Expand one word; raises DockerfileError."""
        expansion = self._expander.expand(word, self._env)
        self._room -= max(len(expansion.text) - len(word), 0)
        if self._room < 0:
            raise DockerfileError(
                f"the expansions of an instruction are longer than {MAX_EXPANSION} characters"
            )
        return expansion

    def text(self, word: str) -> str:
        """What becomes of one word; raises DockerfileError."""
        return self.expand(word).text


@dataclass(slots=True)
class _Words:
    """Collects words: bare white space divides them, quoted or escaped one does not.

    None is empty, whatever quotes there are around nothing.
    """

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        first, *others = _SPACE_RUN.split(text)
        self.add_quoted(first)
        for other in others:
            self.finish()
            self.add_quoted(other)

    def add_quoted(self, text: str) -> None:
        if text:
            self.current.append(text)

    def finish(self) -> list[str]:
        if self.current:
            self.done.append("".join(self.current))
            self.current.clear()
        return self.done


class _Reader:
    """One pass over a text. Every method starts at `position` and leaves it behind what it read."""

    def __init__(self, expander: Expander, text: str, env: Mapping[str, str]) -> None:
        self.expander = expander
        self.text = text
        self.env = env
        self.position = 0
        self.keep_escapes = expander.keep_escapes
        self.matched: set[str] = set()
        self.unmatched: set[str] = set()
        self.nesting = 0
        self.size = 0

    def peek(self) -> str:
        """The next character; empty at the end, which is in no string of one character or more."""
        return self.text[self.position : self.position + 1]

    def take(self) -> str:
        char = self.peek()
        self.position += 1
        return char

    def until(self, stop: str, *, keep_escapes: bool) -> tuple[str, list[str]]:
        """Read up to and including `stop`, or to the end if it is empty."""
        outer, self.keep_escapes = self.keep_escapes, keep_escapes
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise DockerfileError(f"substitutions nested more than {MAX_NESTING} levels deep")
        try:
            return self._until(stop)
        finally:
            self.nesting -= 1
            self.keep_escapes = outer

    def _until(self, stop: str) -> tuple[str, list[str]]:
        result: list[str] = []
        words = _Words()
        while char := self.peek():
            if char == stop:
                self.position += 1
                return "".join(result), words.finish()
            if char == "$":
                value = self.dollar()
                words.add(value)
            elif char in "'\"" and not self.expander.quotes_are_text:
                value = self.single_quoted() if char == "'" else self.double_quoted()
                words.add_quoted(value)
            elif char == self.expander.escape:
                value = self.escaped()
                words.add_quoted(value)
            else:
                self.position += 1
                value = char
                words.add(value)
            self.grow(value)
            result.append(value)
        if stop:
            looking = f"unexpected end of statement while looking for matching {stop}"
            raise DockerfileError(looking)
        return "".join(result), words.finish()

    def grow(self, value: str) -> None:
        self.size += len(value)
        if self.size > MAX_EXPANSION:
            raise DockerfileError(f"expansion is longer than {MAX_EXPANSION} characters")

    def escaped(self) -> str:
        kept = self.take() if self.keep_escapes else self.take()[:0]
        return kept + self.take()

    def single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            self.position = len(self.text)
            raise DockerfileError(
                "unexpected end of statement while looking for matching single-quote"
            )
        inner = self.text[self.position + 1 : end]
        self.position = end + 1
        return f"'{inner}'" if self.expander.keep_quotes else inner

    def double_quoted(self) -> str:
        mark = '"' if self.expander.keep_quotes else ""
        result = [mark]
        self.position += 1
        while char := self.peek():
            if char == '"':
                self.position += 1
                return "".join(result) + mark
            if char == "$":
                value = self.dollar()
                self.grow(value)
                result.append(value)
                continue
            self.position += 1
            if char == self.expander.escape:
                if self.keep_escapes:
                    result.append(char)
                # Before anything else the escape character stands for itself.
                following = self.peek()
                if not following:
                    continue
                if following in ('"', "$", self.expander.escape):
                    char = self.take()
            result.append(char)
        raise DockerfileError("unexpected end of statement while looking for matching double-quote")

    def dollar(self) -> str:
        self.position += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.look_up(name)
            if value is None:
                return f"${name}" if self.expander.keep_unset else ""
            return value
        self.position += 1
        if not self.peek():
            raise DockerfileError("syntax error: missing '}'")
        if self.peek() in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        return self.substitution(self.name())

    def name(self) -> str:
        start = self.position
        first = self.peek()
        if first.isdecimal():
            found = _DIGITS.match(self.text, start)
            self.position = found.end() if found else start
        elif first and first in _SPECIAL_PARAMETERS:
            self.position += 1
        else:
            while (char := self.peek()).isalpha() or char.isdecimal() or char == "_":
                self.position += 1
        return self.text[start : self.position]

    def look_up(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.unmatched if value is None else self.matched).add(name)
        return value

    def substitution(self, name: str) -> str:
        operator = self.take()
        if operator == "}":
            value = self.look_up(name)
            if value is None:
                return f"${{{name}}}" if self.expander.keep_unset else ""
            return value
        if operator == "/":
            return self.replacement(name)
        null_is_unset = operator == ":"
        kind = self.take() if null_is_unset else operator
        if not null_is_unset and (not kind or kind not in "+-?#%"):
            raise DockerfileError(f"unsupported modifier ({kind or chr(0xFFFD)}) in substitution")
        word = self.argument("}", keep_escapes=kind in ("#", "%"))
        value = self.look_up(name)
        if value is None and self.expander.keep_unset:
            return f"${{{name}{':' * null_is_unset}{kind}{word}}}"
        if kind in ("-", "+", "?"):
            return _conditional(name, kind, word, value, null_is_unset=null_is_unset)
        if kind in ("#", "%"):
            longest = word[:1] == kind
            trim = patterns.trim_prefix if kind == "#" else patterns.trim_suffix
            return trim(value or "", word[1:] if longest else word, longest=longest)
        raise DockerfileError(f"unsupported modifier (:{kind}) in substitution")

    def replacement(self, name: str) -> str:
        every = self.peek() == "/"
        self.position += every
        pattern = self.argument("/", keep_escapes=True)
        replacement = self.argument("}", keep_escapes=True)
        value = self.look_up(name)
        if value is None and self.expander.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        room = MAX_EXPANSION // (len(replacement) + 1)
        if every and len(value or "") > room:
            raise DockerfileError(f"expansion is longer than {MAX_EXPANSION} characters")
        return patterns.replace(value or "", pattern, replacement, every=every)

    def argument(self, stop: str, *, keep_escapes: bool) -> str:
        try:
            return self.until(stop, keep_escapes=keep_escapes)[0]
        except DockerfileError:
            if self.position < len(self.text):
                raise
            where = " in ${}" if stop == "/" else ""
            raise DockerfileError(f"syntax error: missing '{stop}'{where}") from None


def _conditional(name: str, kind: str, word: str, value: str | None, *, null_is_unset: bool) -> str:
    missing = value is None or (null_is_unset and not value)
    if kind == "+":
        return "" if missing else word
    if value is not None and not missing:
        return value
    if kind == "-":
        return word
    state = "unset" if value is None else "empty"
    raise DockerfileError(f"{name}: {word or f'is not allowed to be {state}'}")
