"""The forms in which instructions take their arguments: words, pairs, JSON arrays, free text."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lamina.dockerfile.gostrings import SPACES, quote
from lamina.dockerfile.source import DockerfileError

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its value in ENV or LABEL, not yet expanded; `legacy` if written ``KEY value``."""

    key: str
    value: str
    legacy: bool = False


def split_instruction(line: str) -> tuple[str, tuple[str, ...], str]:
    """A logical line as (name, flags, the rest)."""
    name, *rest = _BLANKS.split(line.strip(SPACES), maxsplit=1)
    if not rest:
        return name, (), ""
    flags, after = _flags(rest[0])
    return name, flags, after.strip(SPACES)


def _flags(text: str) -> tuple[tuple[str, ...], str]:
    """The leading words that begin with ``--``, unquoted, and what follows them.

    The escape character of flags is the backslash, whatever the directive says (BuildKit too).
    """
    flags: list[str] = []
    position = 0
    while True:
        start = position
        while start < len(text) and text[start] in SPACES:
            start += 1
        if not text.startswith("--", start):
            return tuple(flags), text[start:]
        word, quoted, position = _flag(text, start)
        if word == "--":
            return tuple(flags), text[position:]
        if word or quoted:
            flags.append(word)


def _flag(text: str, position: int) -> tuple[str, bool, int]:
    word: list[str] = []
    mark = ""
    quoted = False
    while position < len(text):
        char = text[position]
        position += 1
        if not mark and char in SPACES:
            return "".join(word), quoted, position - 1
        if char == mark:
            mark = ""
        elif not mark and char in "'\"":
            mark, quoted = char, True
        elif char == "\\":
            word.append(text[position : position + 1])
            position += 1
        else:
            word.append(char)
    return "".join(word), quoted, position


def split_blanks(text: str) -> tuple[str, ...]:
    """Words between blanks; quotes mean nothing."""
    return tuple(_BLANKS.split(text)) if text else ()


def json_array(text: str) -> tuple[str, ...] | None:
    """The texts of a JSON array, or None where `text` is none.

    Raises DockerfileError for an array of anything else.
    """
    text = text.lstrip(SPACES)
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if any(not isinstance(value, str) for value in values):
        raise DockerfileError(
            "when using JSON array syntax, arrays must be comprised of strings only"
        )
    return tuple(_LONE_SURROGATES.sub("\ufffd", value) for value in values)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def split_words(text: str, escape: str) -> tuple[str, ...]:
    """Words between spaces; quotes and escapes join, and stay for the expansion to remove."""
    return tuple(_words(text, escape))


def _words(text: str, escape: str) -> Iterator[str]:
    word: list[str] = []
    mark = ""
    chars = iter(text)
    for char in chars:
        if not mark and char in SPACES:
            if word:
                yield "".join(word)
                word.clear()
            continue
        if char == mark:
            mark = ""
        elif not mark and char in "'\"":
            mark = char
        elif char == escape and mark != "'":
            following = next(chars, None)
            # At the very end an escape character escapes nothing and is dropped.
            if following is None:
                break
            word.append(char)
            char = following  # noqa: PLW2901
        word.append(char)
    if word:
        yield "".join(word)


def split_pairs(text: str, escape: str, instruction: str) -> tuple[Pair, ...]:
    """``KEY=value …``, or the old ``KEY value`` with a single pair.

    Raises DockerfileError for a word without ``=`` and for a key without a value.
    """
    words = split_words(text, escape)
    if not words:
        return ()
    if "=" not in words[0]:
        key, *value = _BLANKS.split(text, maxsplit=1)
        if not value:
            raise DockerfileError(f"{instruction} must have two arguments")
        return (Pair(key, value[0], legacy=True),)
    for word in words:
        if "=" not in word:
            raise DockerfileError(
                f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value"
            )
    return tuple(Pair(key, value) for key, _, value in (word.partition("=") for word in words))
