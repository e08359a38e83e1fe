"""Matching texts against patterns of Go's `filepath.Match`, in a time that no pattern can stretch.

A pattern becomes a regular expression where that cannot backtrack far. All others are followed
along the text in all ways at once: the positions in the pattern at which one can be are the bits
of a number, so that a text takes as many steps as it has characters.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from lamina.dockerfile.goglob import GLOBSTAR, LITERAL, ONE, STAR, Token

__all__ = ["Match", "matcher"]

Match = Callable[[str], bool]
"""Whether a whole text matches."""

_FREE: Final = 2
"""Wildcards that an expression may try all lengths of: its time grows with a text's square."""

_MAX_MASKS: Final = 256


def matcher(parsed: Sequence[Token]) -> Match:
    """What tells whether a text matches the tokens of a pattern.

    ``?`` and ``*`` cross no slash; ``**`` is any number of whole directories, and at the end
    anything.
    """
    parsed = _without_repeated_globstars(parsed)
    expression, free = _expression(parsed)
    if free > _FREE:
        return _Automaton(parsed).matches
    regex = re.compile(expression)
    return lambda text: regex.fullmatch(text) is not None


def _without_repeated_globstars(parsed: Sequence[Token]) -> list[Token]:
    """A pattern without those ``**`` that another one follows at once, which mean no more."""
    kept: list[Token] = []
    position = 0
    while position < len(parsed):
        token = parsed[position]
        behind = _behind_slash(parsed, position + 1)
        if token.kind == GLOBSTAR and behind < len(parsed) and parsed[behind].kind == GLOBSTAR:
            position = behind
            continue
        kept.append(token)
        position += 1
    return kept


def _expression(parsed: Sequence[Token]) -> tuple[str, int]:
    """The regular expression of a pattern, and how many wildcards it tries all lengths of.

    A ``*`` before another one takes the least text that lets what is between them match, once and
    for all (an atomic group): nothing is gained by more, since it crosses no slash. Of what a class
    matches that cannot be said.
    """
    pieces: list[str] = []
    free = 0
    position = 0
    while position < len(parsed):
        token = parsed[position]
        position += 1
        if token.kind == GLOBSTAR:
            position = _behind_slash(parsed, position)
            pieces.append("(?:.*/)?" if position < len(parsed) else ".*")
            free += 1
        elif token.kind == STAR:
            end = position
            while end < len(parsed) and parsed[end].kind in (LITERAL, ONE):
                end += 1
            if end < len(parsed) and parsed[end].kind == STAR:
                between = "".join(map(_atom, parsed[position:end]))
                pieces.append(f"(?>[^/]*?{between})")
                position = end
            else:
                pieces.append("[^/]*")
                free += 1
        else:
            pieces.append(_atom(token))
    return "".join(pieces), free


def _behind_slash(parsed: Sequence[Token], position: int) -> int:
    """Where a pattern goes on behind a ``**``: Docker lets ``**/`` mean the same."""
    slash = position < len(parsed) and parsed[position] == Token(LITERAL, "/")
    return position + slash


def _atom(token: Token) -> str:
    if token.kind == LITERAL:
        return re.escape(token.text)
    return "[^/]" if token.kind == ONE else token.text


class _Automaton:
    """All ways through a pattern at once: bit n of a state is that its first n parts are done."""

    def __init__(self, parsed: Sequence[Token]) -> None:
        self._steps: list[re.Pattern[str] | None] = []
        """What leads from a position to the next."""
        self._stays: list[re.Pattern[str] | None] = []
        """What may be passed over at a position."""
        self._skips = self._double_skips = 0
        """The positions which may be left for the next, and for the one after it, for nothing."""
        self._masks: dict[str, tuple[int, int]] = {}
        position = 0
        while position < len(parsed):
            token = parsed[position]
            position += 1
            if token.kind == STAR:
                self._add(stays=_NO_SLASH, skips=True)
            elif token.kind == GLOBSTAR:
                position = _behind_slash(parsed, position)
                if position == len(parsed):
                    self._add(stays=_NO_LINE_END, skips=True)
                    continue
                # Nothing at all, or anything before a slash.
                self._double_skips |= 1 << len(self._steps)
                self._add(skips=True)
                self._add(steps=_SLASH, stays=_NO_LINE_END)
            else:
                self._add(steps=re.compile(_atom(token)))
        self._end = 1 << len(self._steps)

    def _add(
        self,
        *,
        steps: re.Pattern[str] | None = None,
        stays: re.Pattern[str] | None = None,
        skips: bool = False,
    ) -> None:
        self._skips |= skips << len(self._steps)
        self._steps.append(steps)
        self._stays.append(stays)

    def matches(self, text: str) -> bool:
        """Whether the whole of it matches."""
        state = self._with_skips(1)
        for char in text:
            masks = self._masks.get(char) or self._masks_of(char)
            state = self._with_skips((state & masks[0]) << 1 | state & masks[1])
            if not state:
                return False
        return bool(state & self._end)

    def _with_skips(self, state: int) -> int:
        while True:
            more = state | (state & self._skips) << 1 | (state & self._double_skips) << 2
            if more == state:
                return state
            state = more

    def _masks_of(self, char: str) -> tuple[int, int]:
        """The positions that a character leads on from, and those at which it is passed over."""
        if len(self._masks) >= _MAX_MASKS:
            self._masks.clear()
        masks = self._masks[char] = (_taking(self._steps, char), _taking(self._stays, char))
        return masks


_NO_SLASH: Final = re.compile("[^/]")
_NO_LINE_END: Final = re.compile(".")
_SLASH: Final = re.compile("/")


def _taking(parts: Sequence[re.Pattern[str] | None], char: str) -> int:
    bits = ("1" if part is not None and part.match(char) else "0" for part in reversed(parts))
    return int("".join(bits) or "0", 2)
