"""What a process and its surroundings shall be: values, without an OCI runtime's details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

__all__ = [
    "DEFAULT_CAPABILITIES",
    "Device",
    "Limits",
    "Mount",
    "NetworkMode",
    "ProcessSpec",
    "SandboxSpec",
    "Sharing",
    "Ulimit",
]

DEFAULT_CAPABILITIES: Final = frozenset(
    {
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETFCAP",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    }
)
"""Docker's."""

DEFAULT_SHM_SIZE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A limit of setrlimit(2), by its name without ``RLIMIT_`` in lower case: ``nofile``."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What control groups and rlimits hold a sandbox to; 0 and empty are no limit.

    Sizes in bytes, times in microseconds, as in a container's HostConfig.
    """

    memory: int = 0
    memory_swap: int = 0
    """Memory and swap together; -1 is no limit."""
    memory_reservation: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int = 0
    blkio_weight: int = 0
    shm_size: int = DEFAULT_SHM_SIZE
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted at `target`, an absolute path inside, in the OCI runtime's words."""

    target: str
    source: str
    type: str = "bind"
    options: tuple[str, ...] = ("rbind", "rprivate")


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the host (`source`) that shows at `target`; `access` out of ``rwm``."""

    source: str
    target: str
    access: str = "rwm"


class NetworkMode(Enum):
    """What a sandbox sees of networks."""

    NONE = "none"
    """A loopback device of its own."""
    HOST = "host"
    """All that the host sees."""
    BRIDGE = "bridge"
    """A network of its own, with a way out where a program for that is installed."""
    CONTAINER = "container"
    """That of another sandbox, which `SandboxSpec.network_of` tells by a process in it."""


class Sharing(Enum):
    """Whose PID, IPC or UTS namespace a sandbox has."""

    PRIVATE = "private"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process to start."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    """``NAME=value``; PATH, and TERM for a terminal, have the usual values if they are missing."""
    cwd: str = "/"
    user: str = ""
    """As in images: ``user[:group]``, names or numbers, looked up in the root filesystem."""
    groups: tuple[str, ...] = ()
    """More groups, by name or number."""
    tty: bool = False
    console_size: tuple[int, int] | None = None
    """Height and width of the terminal."""
    capabilities: frozenset[str] | None = None
    """Those it may have; None: those of its sandbox."""
    no_new_privileges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A root filesystem, the first process in it, and what is around them."""

    rootfs: Path
    """As the OCI runtime finds it (`lamina.snapshots.store.Mounted.inside`)."""
    rootfs_here: Path | None = None
    """As this process finds it, if that is another path."""
    process: ProcessSpec
    readonly: bool = False
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    device_rules: tuple[str, ...] = ()
    """More rules for devices, as in ``--device-cgroup-rule``: ``c 1:3 mr``."""
    limits: Limits = field(default_factory=Limits)
    hostname: str = ""
    domainname: str = ""
    network: NetworkMode = NetworkMode.NONE
    network_of: int | None = None
    extra_hosts: tuple[str, ...] = ()
    """More lines for ``/etc/hosts``, as ``name:address``."""
    dns: tuple[str, ...] = ()
    """Name servers; none: the host's."""
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    pid: Sharing | int = Sharing.PRIVATE
    """A number is a process whose namespace is shared."""
    ipc: Sharing | int = Sharing.PRIVATE
    uts: Sharing = Sharing.PRIVATE
    init: bool = False
    """Whether a small init is the first process, which reaps and passes on signals."""
    privileged: bool = False
    seccomp: Mapping[str, Any] | None = None
    """A profile in the OCI runtime's form; None: the default one, empty: none at all."""
    masked_paths: tuple[str, ...] | None = None
    """None: the usual ones."""
    readonly_paths: tuple[str, ...] | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    oom_score_adj: int = 0
    cgroup_parent: str = ""
    """A control group above the sandbox's own; empty: ``/lamina``."""
