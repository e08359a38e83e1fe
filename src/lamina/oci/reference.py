"""Image references: ``[domain/]path[:tag][@digest]``, in the grammar of Docker and distribution.

A reference has a canonical form, ``docker.io/library/busybox:1.36``, which is what is stored and
compared, and a familiar form, ``busybox:1.36``, which is what people read and write.
"""

import re
from functools import lru_cache
from typing import Final, Self

import msgspec

from lamina.errors import InvalidDigest, InvalidReference
from lamina.oci.digest import Digest

DEFAULT_DOMAIN: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
NAME_LENGTH_LIMIT: Final = 255

_LEGACY_DEFAULT_DOMAIN = "index.docker.io"
_OFFICIAL = "library"

# Nothing here can match one text in two ways, so matching is linear; possessive quantifiers make it
# quick. Groups have none: until 3.11.4 Python takes what an attempt at one had matched in vain.
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]++(?:-++[a-zA-Z0-9]++)*)"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]++\])(?::[0-9]++)?"
_PATH_COMPONENT = r"[a-z0-9]++(?:(?:[._]|__|-++)[a-z0-9]++)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*+(?:[-_+.][A-Za-z][A-Za-z0-9]*+)*:[0-9a-fA-F]{32,}"

_REFERENCE = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?")
_TAG_ALONE = re.compile(_TAG)
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")


class Reference(msgspec.Struct, frozen=True):
    """The name of an image in a repository; `parse` is the way to one.

    `domain` is the registry's host and port. It is empty in one odd case that dockerd also takes:
    a first component with both ``.`` and ``_``, which looks like a host and cannot be one.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @staticmethod
    def parse(text: str) -> "Reference":
        """Read a familiar or canonical reference. Raises InvalidReference, worded as dockerd does.

        Text of 64 hexadecimal digits is refused, for it would shadow an image ID.
        """
        return _parse(text)

    @property
    def name(self) -> str:
        """The canonical name of the repository: ``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def familiar_name(self) -> str:
        """The name of the repository as people write it: ``busybox``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        first, _, rest = self.path.partition("/")
        if first == _OFFICIAL and rest and "/" not in rest:
            return rest
        # Without its domain, ``docker.io/localhost/x`` would be another repository.
        return self.name if rest and _looks_like_domain(first) else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as people write it: ``busybox:1.36``."""
        return self.familiar_name + self._suffix

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag if self.digest is None else f"{tag}@{self.digest}"

    @property
    def is_bare(self) -> bool:
        """Whether this names a repository only: neither tag nor digest."""
        return self.tag is None and self.digest is None

    def with_tag(self, tag: str) -> Self:
        """The same with `tag`; a digest stays. Raises InvalidReference (``invalid tag format``)."""
        if not _TAG_ALONE.fullmatch(tag):
            raise InvalidReference("invalid tag format", text=tag)
        return msgspec.structs.replace(self, tag=tag)

    def with_digest(self, digest: Digest) -> Self:
        """The same with `digest`; a tag stays."""
        return msgspec.structs.replace(self, digest=digest)

    def with_default_tag(self) -> Self:
        """The same with the tag ``latest``, if it is bare."""
        return self.with_tag(DEFAULT_TAG) if self.is_bare else self

    def without_tag_and_digest(self) -> Self:
        """The repository alone."""
        return self if self.is_bare else type(self)(self.domain, self.path)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Reference:
    if _IMAGE_ID.fullmatch(text):
        raise InvalidReference(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings",
            text=text,
        )
    domain, remainder = _split_domain(text)
    path = remainder.partition(":")[0]
    if path.lower() != path:
        raise InvalidReference(
            "invalid reference format: repository name must be lowercase", text=text
        )
    whole = f"{domain}/{remainder}"
    match = _REFERENCE.fullmatch(whole)
    if match is None:
        # The domain may be in upper case, unless it is one only by its looks.
        raise InvalidReference(
            "repository name must be lowercase"
            if _REFERENCE.fullmatch(whole.lower())
            else "invalid reference format",
            text=text,
        )
    domain, path, tag, digest = match.groups(default="")
    if len(domain) + bool(domain) + len(path) > NAME_LENGTH_LIMIT:
        raise InvalidReference(
            f"repository name must not be more than {NAME_LENGTH_LIMIT} characters", text=text
        )
    return Reference(domain, path, tag or None, _parse_digest(digest, text) if digest else None)


def _split_domain(text: str) -> tuple[str, str]:
    """Part a domain from the rest, supplying what the familiar form leaves out."""
    first, slash, rest = text.partition("/")
    is_domain = slash and _looks_like_domain(first)
    domain, remainder = (first, rest) if is_domain else (DEFAULT_DOMAIN, text)
    if domain == _LEGACY_DEFAULT_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = f"{_OFFICIAL}/{remainder}"
    return domain, remainder


def _looks_like_domain(first: str) -> bool:
    """Whether the first of several components is a registry's host rather than a user's name."""
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _parse_digest(digest: str, text: str) -> Digest:
    try:
        return Digest.parse(digest)
    except InvalidDigest as error:
        raise InvalidReference(error.message, text=text) from error
