"""The syntax of Go's `filepath.Match`, in which Docker writes patterns of paths.

Docker turns patterns into regular expressions character by character, and so mistakes ``*`` and
``?`` inside a class for wildcards: ``[*]`` then matches no star. Here it does, as Go means it.
"""

from dataclasses import dataclass

from lamina.dockerfile.source import DockerfileError


class BadPattern(DockerfileError):
    """A pattern that is malformed; `pattern` is the whole of it."""

    def __init__(self, pattern: str) -> None:
        super().__init__("syntax error in pattern")
        self.pattern = pattern


@dataclass(frozen=True, slots=True)
class Token:
    """One element: a literal character, ``?``, ``*``, ``**`` or a class.

    `text` is the character or the wildcard; of a class, the expression Python's `re` has for it.
    """

    kind: str
    text: str


LITERAL, ONE, STAR, GLOBSTAR, CLASS = "literal", "one", "star", "globstar", "class"


def tokens(pattern: str, *, globstar: bool = True) -> list[Token]:
    """Read a pattern; raises BadPattern where `filepath.Match` would.

    To that function itself ``**`` is no more than ``*``: so it is here without `globstar`.
    """
    result = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "[":
            text, position = _character_class(pattern, position + 1)
            result.append(Token(CLASS, text))
            continue
        if globstar and pattern.startswith("**", position):
            result.append(Token(GLOBSTAR, "**"))
            position += 2
            continue
        if char == "\\":
            position += 1
            char = pattern[position : position + 1]
            if not char:
                raise BadPattern(pattern)
            result.append(Token(LITERAL, char))
        else:
            kind = {"*": STAR, "?": ONE}.get(char, LITERAL)
            result.append(Token(kind, char))
        position += 1
    return result


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    """The class whose content begins at `position`, and where it ends."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    parts: list[str] = []
    while not (parts and pattern[position : position + 1] == "]"):
        low, position = _class_character(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _class_character(pattern, position + 1)
        # `filepath.Match` takes such a range; the regular expression Docker makes of it does not.
        if low > high:
            raise BadPattern(pattern)
        parts.append(f"{_escaped(low)}-{_escaped(high)}" if low != high else _escaped(low))
    return f"[{'^' * negated}{''.join(parts)}]", position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    char = pattern[position : position + 1]
    if not char or char in "-]":
        raise BadPattern(pattern)
    if char == "\\":
        position += 1
        char = pattern[position : position + 1]
    # A class must go on: at the least, its end follows.
    if not char or position + 1 >= len(pattern):
        raise BadPattern(pattern)
    return char, position + 1


def _escaped(char: str) -> str:
    return char if char.isalnum() else f"\\{char}"
