"""What a container may use of the machine: which limits can be, by dockerd's rules and words."""

import os
import re
from pathlib import Path
from typing import Final

from lamina.errors import Conflict, InvalidParameter
from lamina.models import HostConfig

__all__ = ["check_resources", "check_update"]

_MIN_MEMORY: Final = 6 << 20
_MAX_SWAPPINESS: Final = 100
_MAX_OOM_SCORE: Final = 1000
_CPU: Final = 1_000_000_000
_MIN_CPU_TIME, _MAX_PERIOD = 1_000, 1_000_000  # µs
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_HIGHEST: Final = 8192
"""No machine has more CPUs or memory nodes."""


def check_resources(host: HostConfig, *, update: bool = False) -> None:
    """Raise InvalidParameter for limits that cannot be; `update`: others hold already."""
    if abs(host.oom_score_adj) > _MAX_OOM_SCORE:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    _check_memory(host, update=update)
    _check_cpus(host)
    _check_set("cpus", host.cpuset_cpus, "CPUs", "Cpus_allowed_list")
    _check_set("mems", host.cpuset_mems, "memory nodes", "Mems_allowed_list")


def _check_memory(host: HostConfig, *, update: bool) -> None:
    memory, swap, reserved = host.memory, host.memory_swap, host.memory_reservation
    if memory and memory < _MIN_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if 0 < swap < memory:
        raise InvalidParameter(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if swap > 0 and not memory and not update:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    swappiness = host.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= _MAX_SWAPPINESS:
        raise InvalidParameter(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )
    if 0 < reserved < _MIN_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reserved:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _check_cpus(host: HostConfig) -> None:
    period, quota, nano = host.cpu_period, host.cpu_quota, host.nano_cpus
    if nano > 0 and period > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano > 0 and quota > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    count = len(os.sched_getaffinity(0))
    if not 0 <= nano <= count * _CPU:
        raise InvalidParameter(
            f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if period and not _MIN_CPU_TIME <= period <= _MAX_PERIOD:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < _MIN_CPU_TIME:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _check_set(name: str, text: str, what: str, field: str) -> None:
    """Check a list of CPUs or of memory nodes against what this process may use."""
    if not text:
        return
    try:
        wanted = _numbers(text)
    except ValueError:
        raise InvalidParameter(
            f"Invalid value {text} for cpuset {name}: invalid format: {text}"
        ) from None
    available = _of_this_process(field)
    if available and not wanted <= _numbers(available):
        raise InvalidParameter(
            f"Requested {what} are not available - requested {text}, available: {available}"
        )


def _numbers(text: str) -> frozenset[int]:
    """The numbers of a list such as ``0-2,4``. ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(text)
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= _HIGHEST:
            raise ValueError(text)
        found.update(range(first, last + 1))
    return frozenset(found)


def _of_this_process(field: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.split()[1] for line in lines if line.startswith(f"{field}:")), "")


def check_update(id: str, now: HostConfig, wanted: HostConfig) -> None:
    """Whether what is `wanted` of a container goes with what holds `now`.

    Raises InvalidParameter, Conflict.
    """
    check_resources(wanted, update=True)
    for holds, comes, problem in (
        (now.cpu_period, wanted.nano_cpus, "Nano CPUs cannot be updated as CPU Period"),
        (now.cpu_quota, wanted.nano_cpus, "Nano CPUs cannot be updated as CPU Quota"),
        (now.nano_cpus, wanted.cpu_period, "CPU Period cannot be updated as NanoCPUs"),
        (now.nano_cpus, wanted.cpu_quota, "CPU Quota cannot be updated as NanoCPUs"),
    ):
        if holds > 0 and comes > 0:
            raise _conflict(id, f"Conflicting options: {problem} has already been set")
    if now.auto_remove and wanted.restart_policy.name not in {"", "no"}:
        problem = "Restart policy cannot be updated because AutoRemove is enabled for the container"
        raise _conflict(id, problem)
    if wanted.memory and wanted.memory > now.memory_swap and not wanted.memory_swap:
        problem = "Memory limit should be smaller than already set memoryswap limit"
        raise _conflict(id, f"{problem}, update the memoryswap at the same time")


def _conflict(id: str, problem: str) -> Conflict:
    return Conflict(f"Cannot update container {id}: {problem}")
