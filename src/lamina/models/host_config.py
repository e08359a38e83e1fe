"""What a container gets of its host: resources, mounts, network, privileges (schema HostConfig).

Sizes are in bytes, times of the CPU in microseconds. Zero, empty, None and unset mean that nothing
is asked for; the keys that Go leaves out then are `UNSET`.
"""

import msgspec

from lamina.models.base import Value
from lamina.models.networks import PortMap


class LogConfig(Value, frozen=True, kw_only=True):
    """How the output is kept; ``json-file`` where `type` is empty."""

    type: str = ""
    config: dict[str, str] | None = None


class RestartPolicy(Value, frozen=True, kw_only=True):
    """When to start again by itself: no, always, unless-stopped, on-failure."""

    name: str = ""
    maximum_retry_count: int = 0


class DeviceMapping(Value, frozen=True, kw_only=True):
    """A device of the host; the permissions are some of ``rwm``."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Value, frozen=True, kw_only=True):
    """Devices that a driver is asked for, such as GPUs."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] | None = msgspec.field(name="DeviceIDs", default=None)
    capabilities: tuple[tuple[str, ...], ...] | None = None
    options: dict[str, str] | None = None


class ThrottleDevice(Value, frozen=True, kw_only=True):
    """The most that may go to or from a device, in bytes or operations a second."""

    path: str = ""
    rate: int = 0


class WeightDevice(Value, frozen=True, kw_only=True):
    """The share of a device's time."""

    path: str = ""
    weight: int = 0


class Ulimit(Value, frozen=True, kw_only=True):
    """A resource limit of processes, such as ``nofile``."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Options of a mount of type bind."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False


class MountDriver(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The driver of a volume."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Options of a mount of type volume."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: MountDriver | None = None


class TmpfsOptions(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Options of a mount of type tmpfs; `mode` as a number, such as 0o1777."""

    size_bytes: int = 0
    mode: int = 0


class Mount(Value, frozen=True, kw_only=True, omit_defaults=True):
    """A mount that is asked for; `type` is bind, volume or tmpfs."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(Value, frozen=True, kw_only=True):
    """What a container gets of its host, in Go's order of keys."""

    binds: tuple[str, ...] | None = None
    container_id_file: str = msgspec.field(name="ContainerIDFile", default="")
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: PortMap | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] | None = None
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    cgroupns_mode: str = ""
    dns: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None
    group_add: tuple[str, ...] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] | None = None
    storage_opt: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    tmpfs: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    uts_mode: str = msgspec.field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    runtime: str | msgspec.UnsetType = msgspec.UNSET
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_iops: tuple[ThrottleDevice, ...] | None = msgspec.field(
        name="BlkioDeviceReadIOps", default=None
    )
    blkio_device_write_iops: tuple[ThrottleDevice, ...] | None = msgspec.field(
        name="BlkioDeviceWriteIOps", default=None
    )
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] | None = None
    device_cgroup_rules: tuple[str, ...] | None = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    kernel_memory: int | msgspec.UnsetType = msgspec.UNSET
    kernel_memory_tcp: int | msgspec.UnsetType = msgspec.field(
        name="KernelMemoryTCP", default=msgspec.UNSET
    )
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = msgspec.field(name="IOMaximumIOps", default=0)
    io_maximum_bandwidth: int = msgspec.field(name="IOMaximumBandwidth", default=0)
    mounts: tuple[Mount, ...] | msgspec.UnsetType = msgspec.UNSET
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | msgspec.UnsetType = msgspec.UNSET
