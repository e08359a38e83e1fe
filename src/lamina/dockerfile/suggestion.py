"""Suggestions for misspelt names."""

from collections.abc import Collection, Iterable
from typing import Final

_FARTHEST: Final = 3
"""Edits that make a name another one altogether."""

_LONGEST: Final = 64
"""Characters of a name worth a suggestion."""

_MOST: Final = 20_000
"""Names that are looked at for all suggestions about one Dockerfile."""


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
        edits = _edit_distance(wanted, candidate, distance)
        if edits < distance:
            best, distance = candidate, edits
    if best is not None and not case_sensitive and name == name.upper() != name.lower():
        return best.upper()
    return best


def did_you_mean(name: str, known: Iterable[str], *, case_sensitive: bool = False) -> str:
    """What to add to an error's message, empty if nothing is near enough."""
    match = closest(name, known, case_sensitive=case_sensitive)
    return f" (did you mean {match}?)" if match else ""


class Suggestions:
    """Those about one Dockerfile, which may have any number of names, defined and not."""

    def __init__(self) -> None:
        self._left = _MOST

    def hint(self, name: str, known: Collection[str]) -> str:
        """`did_you_mean`, as long as it takes no time to speak of."""
        self._left -= len(known)
        return did_you_mean(name, known, case_sensitive=True) if self._left >= 0 else ""


def _edit_distance(first: str, second: str, limit: int) -> int:
    """The Levenshtein distance, if it is below `limit`; else that or more."""
    if abs(len(first) - len(second)) >= limit:
        return limit
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        # Farther from the diagonal it is `limit` or more.
        begin, end = max(1, i - limit + 1), min(len(second), i + limit - 1)
        diagonal, row[begin - 1] = row[begin - 1], i
        for j in range(begin, end + 1):
            edits = min(row[j] + 1, row[j - 1] + 1, diagonal + (left != second[j - 1]))
            diagonal, row[j] = row[j], edits
    return row[-1]
