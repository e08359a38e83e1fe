"""What a build is asked for, checked: the parameters of ``POST /build`` as values."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput, Ulimit
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.oci.timestamp import format_unix
from lamina.registry.credentials import AuthConfig

SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"
"""The build argument that is the time of everything a build makes (unix seconds)."""

_IMPLIED = frozenset(
    {
        SOURCE_DATE_EPOCH,
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_MULTI_PLATFORM",
        "BUILDKIT_SYNTAX",
        "BUILDKIT_SANDBOX_HOSTNAME",
        "BUILDKIT_CACHE_MOUNT_NS",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        "BUILDKIT_DOCKERFILE_CHECK",
    }
)
"""Arguments to the builder itself, which no Dockerfile has to declare."""

_LATEST = 253_402_300_799
"""The last second of the year 9999, as far as timestamps go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How the commands of a build run: limits in bytes and microseconds, 0 and empty mean none.

    `extra_hosts` are ``host:address``; `network` is a mode as ``docker build --network`` has it.
    """

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    network: str = ""
    extra_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """One build. `dockerfile` is a path within the context, empty for the usual names.

    `secrets` and `ssh` are by their IDs: a secret's bytes or its file, and an agent's socket.
    """

    dockerfile: str = ""
    remote: str = ""
    tags: tuple[Reference, ...] = ()
    target: str = ""
    platform: Platform | None = None
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False
    nocache: bool = False
    pull: bool = False
    remove: bool = True
    remove_always: bool = False
    squash: bool = False
    cache_from: tuple[str, ...] = ()
    outputs: tuple[ImageBuildOutput, ...] = ()
    run: RunSettings = field(default_factory=RunSettings)
    credentials: Mapping[str, AuthConfig] = field(default_factory=dict)
    default_credentials: AuthConfig | None = None
    secrets: Mapping[str, bytes | os.PathLike[str]] = field(default_factory=dict)
    ssh: Mapping[str, os.PathLike[str]] = field(default_factory=dict)

    def credentials_for(self, reference: Reference) -> AuthConfig | None:
        """What the request has for a registry; None leaves it to the engine."""
        return self.credentials.get(reference.domain, self.default_credentials)

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH in unix seconds, if it was given. Raises InvalidParameter."""
        text = self.arguments.get(SOURCE_DATE_EPOCH)
        if not text:
            return None
        if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) > _LATEST:
            raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text}")
        return int(text)

    @property
    def created(self) -> str | None:
        """The time that everything is made at, if there is such a time."""
        epoch = self.epoch
        return None if epoch is None else format_unix(epoch * 1_000_000_000)

    def unconsumed(self, declared: frozenset[str], left: Sequence[str]) -> tuple[str, ...]:
        """Which of the arguments `left` over are told about: no ARG of the file has them."""
        return tuple(name for name in left if name not in declared | _IMPLIED)


def parse_tags(names: Sequence[str]) -> tuple[Reference, ...]:
    """The names that an image is to get, each once. Raises InvalidReference, InvalidParameter."""
    tags: dict[Reference, None] = {}
    for name in names:
        if not name:
            continue
        reference = Reference.parse(name)
        if reference.digest is not None:
            raise InvalidParameter("build tag cannot contain a digest")
        tags[reference.with_default_tag()] = None
    return tuple(tags)
