r"""Shell patterns of substitutions: ``?`` one character, ``*`` any number, ``\`` escapes.

There are no bracket expressions, and neither wildcard matches a line end (BuildKit turns patterns
into regular expressions, whose dot does not). Matching is by pieces of fixed length between the
stars, so that its time is bounded by text × pattern whatever the pattern, and that product is
bounded, too; a backtracking regular expression would let a Dockerfile hang its builder.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamina.dockerfile.source import DockerfileError

_MAX_WORK: Final = 1 << 28
"""Characters of the text times those of the pattern: a fraction of a second."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two stars: it matches texts of exactly `length` characters."""

    regex: re.Pattern[str]
    length: int


def _tokens(pattern: str) -> list[str]:
    """The characters of a pattern; wildcards bare, everything else behind a backslash."""
    tokens: list[str] = []
    chars = iter(range(len(pattern)))
    for i in chars:
        char = pattern[i]
        if char in "*?":
            tokens.append(char)
            continue
        if char == "\\":
            following = pattern[i + 1 : i + 2]
            # Inside ${…} these two need an escape, which is not the pattern's own.
            if following and following in "}/":
                continue
            if not following or following not in "*?\\":
                reason = f"invalid escape '\\{following or chr(0xFFFD)}'"
                raise DockerfileError(f"invalid pattern ({pattern}) in substitution: {reason}")
            char = following
            next(chars)
        tokens.append("\\" + char)
    return tokens


def _pieces(tokens: Sequence[str], text: str) -> list[_Piece]:
    """What is to be found in `text`; raises DockerfileError if that would take too long."""
    if len(tokens) * len(text) > _MAX_WORK:
        raise DockerfileError(
            f"a pattern of {len(tokens)} characters is too long for a text of {len(text)}"
        )
    pieces = []
    current: list[str] = []
    for token in [*tokens, "*"]:
        if token == "*":  # noqa: S105 (a token of a pattern)
            pieces.append(_Piece(re.compile("".join(current)), len(current)))
            current = []
        else:
            current.append(re.escape(token[1:]) if token.startswith("\\") else ".")
    return pieces


def _last(piece: _Piece, text: str, low: int, high: int) -> int:
    for start in range(high, low - 1, -1):
        if piece.regex.match(text, start):
            return start
    return low


def _end_from(pieces: Sequence[_Piece], text: str, start: int, *, longest: bool) -> int | None:
    """Where a match beginning at `start` ends, or None if there is none."""
    if not pieces[0].regex.match(text, start):
        return None
    position = start + pieces[0].length
    for number, piece in enumerate(pieces[1:], 2):
        line_end = text.find("\n", position)
        reach = len(text) if line_end < 0 else line_end
        found = piece.regex.search(text, position, reach + piece.length)
        if found is None:
            return None
        at = found.start()
        if longest and number == len(pieces):
            at = _last(piece, text, at, min(reach, len(text) - piece.length))
        position = at + piece.length
    return position


def trim_prefix(text: str, pattern: str, *, longest: bool) -> str:
    """`text` without the shortest or longest beginning that `pattern` matches."""
    end = _end_from(_pieces(_tokens(pattern), text), text, 0, longest=longest)
    return text if end is None else text[end:]


def trim_suffix(text: str, pattern: str, *, longest: bool) -> str:
    """`text` without the shortest or longest end that `pattern` matches."""
    backwards = text[::-1]
    end = _end_from(_pieces(_tokens(pattern)[::-1], backwards), backwards, 0, longest=longest)
    return text if end is None else backwards[end:][::-1]


def _find(pieces: Sequence[_Piece], text: str, low: int) -> tuple[int, int] | None:
    """The leftmost longest match that begins at `low` or later, as (start, end)."""
    start = low
    while found := pieces[0].regex.search(text, start):
        end = _end_from(pieces, text, found.start(), longest=True)
        if end is not None:
            return found.start(), end
        # A star does not cross a line's end, so that no other start in this line does better.
        line_end = text.find("\n", found.start())
        if line_end < 0:
            return None
        start = line_end + 1 if len(pieces) > 1 else found.start() + 1
    return None


def replace(text: str, pattern: str, replacement: str, *, every: bool) -> str:
    """`text` with the first match of `pattern`, or `every` one, replaced."""
    pieces = _pieces(_tokens(pattern), text)
    done: list[str] = []
    copied = position = 0
    while position <= len(text) and (match := _find(pieces, text, position)):
        start, end = match
        # As Go does, an empty match right behind another match does not count.
        if end > start or start > copied or not done:
            done += [text[copied:start], replacement]
            copied = end
        position = end if end > start else end + 1
        if not every:
            break
    return "".join(done) + text[copied:]
