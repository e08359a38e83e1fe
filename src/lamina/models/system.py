"""The engine itself: versions, configuration, disk use, events."""

from typing import Any

import msgspec

from lamina.models.base import Model
from lamina.models.builds import BuildCache
from lamina.models.containers import ContainerSummary
from lamina.models.images import ImageSummary
from lamina.models.volumes import Volume


class VersionComponent(Model, kw_only=True):
    """One component of ``GET /version``."""

    name: str
    version: str
    details: dict[str, str] | None = None


class PlatformName(Model, kw_only=True):
    """The product's name in ``GET /version``."""

    name: str = ""


class SystemVersion(Model, kw_only=True):
    """``GET /version`` (schema SystemVersion)."""

    platform: PlatformName = msgspec.field(default_factory=PlatformName)
    components: list[VersionComponent] = msgspec.field(default_factory=list)
    version: str
    api_version: str
    min_api_version: str = msgspec.field(name="MinAPIVersion")
    git_commit: str = ""
    go_version: str = ""
    os: str = "linux"
    arch: str
    kernel_version: str = ""
    experimental: bool | msgspec.UnsetType = msgspec.UNSET
    build_time: str = ""


class SystemDataUsage(Model, kw_only=True):
    """``GET /system/df`` as of API v1.42. ``layers_size`` in bytes."""

    layers_size: int = 0
    images: list[ImageSummary] | None = None
    containers: list[ContainerSummary] | None = None
    volumes: list[Volume] | None = None
    build_cache: list[BuildCache] | None = None


class EventActor(Model, kw_only=True):
    """The object that an event is about."""

    id: str = msgspec.field(name="ID")
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class EventMessage(msgspec.Struct, kw_only=True):
    """One message of ``GET /events``. ``time`` in unix seconds, ``time_nano`` in nanoseconds."""

    status: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    from_: str | msgspec.UnsetType = msgspec.field(name="from", default=msgspec.UNSET)
    type: str = msgspec.field(name="Type")
    action: str = msgspec.field(name="Action")
    actor: EventActor = msgspec.field(name="Actor")
    scope: str = "local"
    time: int
    time_nano: int = msgspec.field(name="timeNano")


class SystemPing(msgspec.Struct, kw_only=True):
    """The headers of ``GET /_ping``, as a value."""

    api_version: str
    os_type: str
    experimental: bool
    builder_version: str


class ComponentCommit(Model, kw_only=True):
    """The version of a program that an engine uses (schema Commit)."""

    id: str = msgspec.field(name="ID", default="")


class SystemInfo(Model, kw_only=True):
    """``GET /info`` (schema SystemInfo): what an engine without swarm and volumes has of it."""

    id: str = msgspec.field(name="ID")
    containers: int = 0
    containers_running: int = 0
    containers_paused: int = 0
    containers_stopped: int = 0
    images: int = 0
    driver: str = ""
    driver_status: list[list[str]] = msgspec.field(default_factory=list)
    plugins: dict[str, list[str] | None] = msgspec.field(default_factory=dict)
    memory_limit: bool = False
    swap_limit: bool = False
    cpu_cfs_period: bool = False
    cpu_cfs_quota: bool = False
    cpu_shares: bool = msgspec.field(name="CPUShares", default=False)
    cpu_set: bool = msgspec.field(name="CPUSet", default=False)
    pids_limit: bool = False
    ipv4_forwarding: bool = msgspec.field(name="IPv4Forwarding", default=False)
    bridge_nf_iptables: bool = False
    bridge_nf_ip6tables: bool = False
    debug: bool = False
    nfd: int = msgspec.field(name="NFd", default=0)
    oom_kill_disable: bool = False
    ngoroutines: int = msgspec.field(name="NGoroutines", default=0)
    system_time: str = ""
    logging_driver: str = "json-file"
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str = "1"
    nevents_listener: int = msgspec.field(name="NEventsListener", default=0)
    kernel_version: str = ""
    operating_system: str = ""
    os_version: str = msgspec.field(name="OSVersion", default="")
    os_type: str = msgspec.field(name="OSType", default="linux")
    architecture: str = ""
    index_server_address: str = "https://index.docker.io/v1/"
    registry_config: dict[str, Any] | None = None
    ncpu: int = msgspec.field(name="NCPU", default=0)
    mem_total: int = 0
    generic_resources: list[Any] | None = None
    docker_root_dir: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str = ""
    labels: list[str] = msgspec.field(default_factory=list)
    experimental_build: bool = False
    server_version: str = ""
    runtimes: dict[str, dict[str, Any]] | None = None
    default_runtime: str = ""
    swarm: dict[str, Any] | None = None
    live_restore_enabled: bool = False
    isolation: str = ""
    init_binary: str = ""
    containerd_commit: ComponentCommit | msgspec.UnsetType = msgspec.UNSET
    runc_commit: ComponentCommit | msgspec.UnsetType = msgspec.UNSET
    init_commit: ComponentCommit | msgspec.UnsetType = msgspec.UNSET
    security_options: list[str] = msgspec.field(default_factory=list)
    warnings: list[str] | None = None
