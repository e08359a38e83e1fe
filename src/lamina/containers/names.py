"""Names for containers that were given none: an adjective and somebody who is worth knowing."""

import re
import secrets
from collections.abc import Container
from typing import Final

from lamina.errors import InvalidParameter

__all__ = ["check_name", "new_name"]

_VALID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ADJECTIVES: Final = (
    "agile amused attentive bold brave bright calm careful charming cheerful clever confident"
    " cool curious daring eager earnest elegant fearless focused friendly gallant gentle"
    " gracious happy hopeful jolly keen kind lively loving lucid merry mindful modest nimble"
    " patient peaceful pensive playful practical quick quiet relaxed serene sharp silent sincere"
    " steady sunny tender thorough tidy upbeat vibrant vigilant warm wise witty zealous"
)
_SURNAMES: Final = (
    "archimedes babbage bardeen bell bohr boyd brahmagupta carson cerf chandrasekhar cori curie"
    " darwin dijkstra einstein elion engelbart euclid euler faraday fermat fermi feynman"
    " franklin galileo gauss goodall hamilton hawking heisenberg herschel hodgkin hopper hypatia"
    " jackson johnson kare kepler khorana knuth kowalevski lamarr leakey liskov lovelace mayer"
    " mccarthy mcclintock meitner mendel moore murdock newton nobel noether pascal pasteur payne"
    " perlman pike poincare ramanujan ritchie rubin sammet shannon sinoussi stallman tesla"
    " thompson torvalds turing visvesvaraya volhard wiles wilson wozniak wright yalow yonath"
)


def new_name(taken: Container[str]) -> str:
    """A name that is not taken."""
    for attempt in range(100):
        name = f"{secrets.choice(_ADJECTIVES.split())}_{secrets.choice(_SURNAMES.split())}"
        if attempt > 3:
            name += str(secrets.randbelow(10 ** min(attempt, 9)))
        if name not in taken:
            return name
    raise InvalidParameter("could not find a free container name")


def check_name(name: str) -> str:
    """A name that was asked for, without its slash. InvalidParameter."""
    bare = name.removeprefix("/")
    if not _VALID.fullmatch(bare):
        raise InvalidParameter(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return bare
