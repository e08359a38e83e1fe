"""What a container uses, read from its control groups (v1 or v2) and its network devices."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from lamina.containers.containers import Containers
from lamina.models import (
    ContainerStats,
    CpuStats,
    CpuUsage,
    MemoryStats,
    NetworkStats,
    PidsStats,
    ThrottlingData,
)
from lamina.oci.timestamp import format_unix
from lamina.records.containers import Container
from lamina.runtime.sandbox import Sandbox

__all__ = ["container_stats"]

_CGROUPS: Final = Path("/sys/fs/cgroup")
_UNLIMITED: Final = 1 << 60
_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


async def container_stats(
    containers: Containers, name: str, *, stream: bool, one_shot: bool
) -> AsyncGenerator[ContainerStats, None]:
    """A measurement a second for as long as there is the container, or one."""
    container = containers.find(name)
    before: ContainerStats | None = None
    while True:
        known = containers.records.catalogue.containers.get(container.id)
        if known is None:
            return
        sandbox = containers.live(known).sandbox
        measured = await asyncio.to_thread(_measured, known, sandbox, containers.now)
        if before is not None:
            measured.preread, measured.precpu_stats = before.read, before.cpu_stats
        if stream or one_shot or before is not None or sandbox is None:
            yield measured
            if not stream:
                return
        before = measured
        await asyncio.sleep(1)


def _measured(
    container: Container, sandbox: Sandbox | None, now: Callable[[], int]
) -> ContainerStats:
    stats = ContainerStats(name=f"/{container.name}", id=container.id)
    if sandbox is None:
        return stats
    stats.read = format_unix(now())
    networks = _networks(sandbox.pid)
    if sandbox.is_there():
        stats.networks = networks
    read = _v2 if (_CGROUPS / "cgroup.controllers").exists() else _v1
    with suppress(OSError):
        read(stats, sandbox.cgroup)
    return stats


def _v1(stats: ContainerStats, cgroup: str) -> None:
    cpu, memory, pids = (_CGROUPS / f"{name}{cgroup}" for name in ("cpuacct", "memory", "pids"))
    usage = _table(cpu / "cpuacct.stat")
    throttled = _table(_CGROUPS / f"cpu{cgroup}/cpu.stat")
    stats.cpu_stats = CpuStats(
        cpu_usage=CpuUsage(
            total_usage=_number(cpu / "cpuacct.usage"),
            percpu_usage=[int(n) for n in (cpu / "cpuacct.usage_percpu").read_text().split()],
            usage_in_kernelmode=usage.get("system", 0) * _TICK,
            usage_in_usermode=usage.get("user", 0) * _TICK,
        ),
        system_cpu_usage=_system_time(),
        online_cpus=os.cpu_count() or 1,
        throttling_data=ThrottlingData(
            periods=throttled.get("nr_periods", 0),
            throttled_periods=throttled.get("nr_throttled", 0),
            throttled_time=throttled.get("throttled_time", 0),
        ),
    )
    stats.memory_stats = MemoryStats(
        usage=_number(memory / "memory.usage_in_bytes"),
        max_usage=_number(memory / "memory.max_usage_in_bytes"),
        stats=_table(memory / "memory.stat"),
        failcnt=_number(memory / "memory.failcnt"),
        limit=_limit(memory / "memory.limit_in_bytes"),
    )
    stats.pids_stats = _pids(pids)


def _v2(stats: ContainerStats, cgroup: str) -> None:
    place = _CGROUPS / cgroup.lstrip("/")
    usage = _table(place / "cpu.stat")
    stats.cpu_stats = CpuStats(
        cpu_usage=CpuUsage(
            total_usage=usage.get("usage_usec", 0) * 1000,
            usage_in_kernelmode=usage.get("system_usec", 0) * 1000,
            usage_in_usermode=usage.get("user_usec", 0) * 1000,
        ),
        system_cpu_usage=_system_time(),
        online_cpus=os.cpu_count() or 1,
        throttling_data=ThrottlingData(
            periods=usage.get("nr_periods", 0),
            throttled_periods=usage.get("nr_throttled", 0),
            throttled_time=usage.get("throttled_usec", 0) * 1000,
        ),
    )
    stats.memory_stats = MemoryStats(
        usage=_number(place / "memory.current"),
        stats=_table(place / "memory.stat"),
        limit=_limit(place / "memory.max"),
    )
    stats.pids_stats = _pids(place)


def _pids(place: Path) -> PidsStats:
    limit = (place / "pids.max").read_text().strip()
    return PidsStats(
        current=_number(place / "pids.current"),
        limit=int(limit) if limit.isdigit() else msgspec.UNSET,
    )


def _number(path: Path) -> int:
    return int(path.read_text())


def _limit(path: Path) -> int:
    """A limit of memory; that of the machine where there is none."""
    text = path.read_text().strip()
    if text.isdigit() and int(text) < _UNLIMITED:
        return int(text)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _table(path: Path) -> dict[str, int]:
    """A file of names and numbers."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, number = line.partition(" ")
        if number.isdigit():
            found[name] = int(number)
    return found


def _system_time() -> int:
    """The time of all CPUs of the machine since it started, in nanoseconds."""
    first = Path("/proc/stat").read_text().partition("\n")[0].split()
    return sum(int(number) for number in first[1:8]) * _TICK


def _networks(pid: int) -> dict[str, NetworkStats] | msgspec.UnsetType:
    """The network devices that a process sees, but for the loopback one."""
    found = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
            name, _, numbers = line.partition(":")
            counts = [int(number) for number in numbers.split()]
            if name.strip() != "lo":
                found[name.strip()] = NetworkStats(
                    rx_bytes=counts[0],
                    rx_packets=counts[1],
                    rx_errors=counts[2],
                    rx_dropped=counts[3],
                    tx_bytes=counts[8],
                    tx_packets=counts[9],
                    tx_errors=counts[10],
                    tx_dropped=counts[11],
                )
    return found or msgspec.UNSET
