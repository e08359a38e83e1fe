"""Suggestions for misspelt names."""

from collections.abc import Iterable
from typing import Final

_FARTHEST: Final = 3
"""Edits that make a name another one altogether."""

_LONGEST: Final = 64
"""Characters of a name worth a suggestion; no known name is nearly as long."""


def closest(name: str, known: Iterable[str], *, case_sensitive: bool) -> str | None:
    """The one of `known` that `name` was probably meant to be, in the case `name` is written in."""
    wanted = name if case_sensitive else name.lower()
    best: str | None = None
    distance = _FARTHEST
    if len(name) > _LONGEST:
        return None
    for option in known:
        candidate = option if case_sensitive else option.lower()
        if candidate == wanted:
            return None
        edits = _edit_distance(wanted, candidate)
        if edits < distance:
            best, distance = candidate, edits
    if best is not None and not case_sensitive and name == name.upper() != name.lower():
        return best.upper()
    return best


def did_you_mean(name: str, known: Iterable[str], *, case_sensitive: bool = False) -> str:
    """What to add to an error's message, empty if nothing is near enough."""
    match = closest(name, known, case_sensitive=case_sensitive)
    return f" (did you mean {match}?)" if match else ""


def _edit_distance(first: str, second: str) -> int:
    """The Levenshtein distance."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, 1):
            edits = min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
            diagonal, row[j] = row[j], edits
    return row[-1]
