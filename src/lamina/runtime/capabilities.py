"""The names of Linux's capabilities (capabilities(7)), and sets of them as users write them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lamina.errors import InvalidParameter
from lamina.runtime.spec import DEFAULT_CAPABILITIES

__all__ = ["ALL_CAPABILITIES", "chosen_capabilities", "own_capabilities"]

ALL_CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""In the order of their numbers."""


def own_capabilities() -> frozenset[str]:
    """All that this process could pass on: those of the kernel that were not taken from it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(ALL_CAPABILITIES) if mask >> bit & 1)
    return frozenset()


def chosen_capabilities(
    *, add: Iterable[str] = (), drop: Iterable[str] = (), known: frozenset[str]
) -> frozenset[str]:
    """Docker's default set with some added and some dropped, each with or without ``CAP_``.

    ``ALL`` stands for all; what is added by name is not dropped by it. InvalidParameter.
    """
    added = {_parsed(name) for name in add}
    dropped = {_parsed(name) for name in drop}
    base = frozenset[str]() if "ALL" in dropped else DEFAULT_CAPABILITIES
    if "ALL" in added:
        base = known
    chosen = (base | added) - (dropped - added if "ALL" in dropped else dropped)
    return (chosen - {"ALL"}) & known


def _parsed(text: str) -> str:
    name = text.upper()
    if name == "ALL":
        return name
    if not name.startswith("CAP_"):
        name = f"CAP_{name}"
    if name not in ALL_CAPABILITIES:
        raise InvalidParameter(f'unknown capability: "{name}"')
    return name
