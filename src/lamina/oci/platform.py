"""Platforms: what a program was built for, and which of several builds a machine should take.

The text form ``os[/architecture[/variant]]``, its normalisation and the fallbacks between variants
are those of containerd's ``platforms`` package, which every engine uses.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final, Self

import msgspec

from lamina.errors import InvalidPlatform

_COMPONENT = re.compile(r"[A-Za-z0-9_-]+")

_OPERATING_SYSTEMS = (
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 "
    "solaris windows zos"
)
_ARCHITECTURES = (
    "386 amd64 amd64p32 arm arm64 arm64be armbe loong64 mips mips64 mips64le mips64p32 "
    "mips64p32le mipsle ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
)
KNOWN_OPERATING_SYSTEMS: Final = frozenset(_OPERATING_SYSTEMS.split())
KNOWN_ARCHITECTURES: Final = frozenset(_ARCHITECTURES.split())

_DEFAULT_VARIANTS = {"amd64": "v1", "arm": "v7", "arm64": "v8"}
_ARM = {"arm", "arm64"}
_ALIASES = {
    "i386": ("386", ""),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
"""Other names of architectures, with the variant they imply (None: whatever was given)."""

_MACHINES = {
    "x86_64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", "v8"),
    "armv5l": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
}
"""What ``uname`` calls a machine, where Go calls it otherwise."""


class Platform(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"os_version": "os.version", "os_features": "os.features"},
):
    """An operating system and a processor (OCI image-index.md, "platform").

    Holds what was written; `normalized` gives the form to compare. An index may leave anything
    empty, and marks what is for no platform at all with ``unknown/unknown``.
    """

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``os[/architecture[/variant]]``, or an architecture alone, as for ``--platform``.

        What is left out is this machine's. Raises InvalidPlatform in containerd's words.
        """
        if "*" in text:
            raise _invalid(text, "wildcards not yet supported")
        components = text.split("/")
        for component in components:
            if not _COMPONENT.fullmatch(component):
                raise InvalidPlatform(
                    f"{_quote(component)} is an invalid component of {_quote(text)}: platform "
                    f'specifier component must match "^{_COMPONENT.pattern}$": invalid argument',
                    text=text,
                )
        match components:
            case [word]:
                return cls._parse_word(word)
            case [os, architecture]:
                architecture, variant = _normalize_architecture(architecture, "")
                return cls(_normalize_os(os), architecture, variant)
            case [os, architecture, variant]:
                architecture, variant = _normalize_architecture(architecture, variant)
                # Who names ARM's default variant gets to see it again.
                if not variant and architecture in _ARM:
                    variant = _DEFAULT_VARIANTS[architecture]
                return cls(_normalize_os(os), architecture, variant)
            case _:
                raise _invalid(text, "cannot parse platform specifier")

    @classmethod
    def _parse_word(cls, word: str) -> Self:
        here = host()
        os = _normalize_os(word)
        if os in KNOWN_OPERATING_SYSTEMS:
            architecture, variant = _normalize_architecture(here.architecture, here.variant)
            return cls(os, architecture, variant)
        architecture, variant = _normalize_architecture(word, "")
        if architecture in KNOWN_ARCHITECTURES:
            return cls(here.os, architecture, variant)
        raise _invalid(word, "unknown operating system or architecture")

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os or "unknown", self.architecture, self.variant)))

    def normalized(self) -> Self:
        """The same by its usual names; a variant that goes without saying is left out."""
        architecture, variant = _normalize_architecture(self.architecture, self.variant)
        return msgspec.structs.replace(
            self, os=_normalize_os(self.os), architecture=architecture, variant=variant
        )

    def matches(self, other: "Platform") -> bool:
        """Whether a machine of this platform runs what was built for `other`.

        A build that does not tell its variant gets the benefit of the doubt.
        """
        return choose([other], self) is not None or (
            not other.variant
            and _identity(self.normalized())[:2] == _identity(other.normalized())[:2]
        )


def host() -> Platform:
    """The platform of this machine: the only question to the operating system in this room."""
    name = os.uname()
    architecture, variant = _MACHINES.get(name.machine, (name.machine, ""))
    return Platform(_normalize_os(name.sysname), architecture, variant)


def choose(platforms: Sequence[Platform | None], wanted: Platform) -> int | None:
    """The index of the best of `platforms` for a machine that is `wanted`; None if none will run.

    An older variant of the processor, then its 32-bit ancestor, will do if there is no better;
    among equals the first wins. None among the platforms is never chosen.
    """
    offered = [platform and _identity(platform.normalized()) for platform in platforms]
    for candidate in _runnable(wanted.normalized()):
        if candidate in offered:
            return offered.index(candidate)
    return None


_Identity = tuple[str, str, str]


def _identity(platform: Platform) -> _Identity:
    return (platform.os, platform.architecture, platform.variant)


def _runnable(wanted: Platform) -> Iterator[_Identity]:
    """What a machine that is `wanted` (normalized) runs, best first."""
    os, architecture, variant = _identity(wanted)
    yield _identity(wanted)
    oldest = {"amd64": 1, "arm": 5, "arm64": 8}.get(architecture)
    if oldest is None:
        return
    number = re.fullmatch("v([0-9]{1,2})", variant or _DEFAULT_VARIANTS[architecture])
    for older in range(int(number[1]) - 1 if number else 0, oldest - 1, -1):
        yield (os, *_normalize_architecture(architecture, f"v{older}"))
    if architecture == "amd64":
        yield (os, "386", "")
    if architecture == "arm64":
        for older in range(8, 4, -1):
            yield (os, *_normalize_architecture("arm", f"v{older}"))


def _normalize_os(os: str) -> str:
    os = os.lower()
    return "darwin" if os == "macos" else os


def _normalize_architecture(architecture: str, variant: str) -> tuple[str, str]:
    """Usual names; the variant is empty where it is the architecture's default."""
    architecture, implied = _ALIASES.get(architecture.lower(), (architecture.lower(), None))
    variant = variant.lower() if implied is None else implied
    if architecture in _ARM and variant.isdecimal():
        variant = f"v{variant}"
    return architecture, "" if variant == _DEFAULT_VARIANTS.get(architecture) else variant


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _invalid(text: str, complaint: str) -> InvalidPlatform:
    return InvalidPlatform(f"{_quote(text)}: {complaint}: invalid argument", text=text)
