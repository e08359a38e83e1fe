"""What a container uses of its host, as ``GET /containers/{id}/stats`` tells it.

Times are nanoseconds, amounts bytes. What a kernel does not tell is unset.
"""

import msgspec

Count = int | msgspec.UnsetType
"""A number that may be unknown."""


class CpuUsage(msgspec.Struct, kw_only=True):
    """Time on the CPUs; `percpu_usage` exists under cgroup v1 only."""

    total_usage: int = 0
    percpu_usage: list[int] | msgspec.UnsetType = msgspec.UNSET
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class ThrottlingData(msgspec.Struct, kw_only=True):
    """How often a limit held the container up."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(msgspec.Struct, kw_only=True):
    """The container's time, and the whole machine's beside it."""

    cpu_usage: CpuUsage = msgspec.field(default_factory=CpuUsage)
    system_cpu_usage: Count = msgspec.UNSET
    online_cpus: Count = msgspec.UNSET
    throttling_data: ThrottlingData = msgspec.field(default_factory=ThrottlingData)


class MemoryStats(msgspec.Struct, kw_only=True):
    """Memory; `stats` are the kernel's own counters."""

    usage: Count = msgspec.UNSET
    max_usage: Count = msgspec.UNSET
    stats: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    failcnt: Count = msgspec.UNSET
    limit: Count = msgspec.UNSET


class PidsStats(msgspec.Struct, kw_only=True):
    """Processes and threads."""

    current: Count = msgspec.UNSET
    limit: Count = msgspec.UNSET


class BlkioEntry(msgspec.Struct, kw_only=True):
    """What one device did for one operation, such as ``Read``."""

    major: int
    minor: int
    op: str
    value: int


class BlkioStats(msgspec.Struct, kw_only=True):
    """Input and output of block devices; None for what is not measured."""

    io_service_bytes_recursive: list[BlkioEntry] | None = None
    io_serviced_recursive: list[BlkioEntry] | None = None
    io_queue_recursive: list[BlkioEntry] | None = None
    io_service_time_recursive: list[BlkioEntry] | None = None
    io_wait_time_recursive: list[BlkioEntry] | None = None
    io_merged_recursive: list[BlkioEntry] | None = None
    io_time_recursive: list[BlkioEntry] | None = None
    sectors_recursive: list[BlkioEntry] | None = None


class NetworkStats(msgspec.Struct, kw_only=True):
    """One network interface."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class ContainerStats(msgspec.Struct, kw_only=True):
    """One measurement, and that of a second before it, from which a client makes percentages.

    `read` and `preread` are RFC 3339.
    """

    read: str = "0001-01-01T00:00:00Z"
    preread: str = "0001-01-01T00:00:00Z"
    pids_stats: PidsStats = msgspec.field(default_factory=PidsStats)
    blkio_stats: BlkioStats = msgspec.field(default_factory=BlkioStats)
    num_procs: int = 0
    storage_stats: dict[str, int] = msgspec.field(default_factory=dict)
    cpu_stats: CpuStats = msgspec.field(default_factory=CpuStats)
    precpu_stats: CpuStats = msgspec.field(default_factory=CpuStats)
    memory_stats: MemoryStats = msgspec.field(default_factory=MemoryStats)
    name: str
    id: str
    networks: dict[str, NetworkStats] | msgspec.UnsetType = msgspec.UNSET
