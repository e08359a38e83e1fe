"""Containers, as the Engine API tells of them."""

import msgspec

from lamina.models.base import Model
from lamina.models.host_config import HostConfig
from lamina.models.images import GraphDriverData
from lamina.models.networks import NetworkSettings, Port, SummaryNetworks
from lamina.oci.containerconfig import ContainerConfig

_NEVER = "0001-01-01T00:00:00Z"


class ContainerCreateResponse(Model, kw_only=True):
    """``POST /containers/create``."""

    id: str
    warnings: list[str] = msgspec.field(default_factory=list)


class HealthcheckResult(Model, kw_only=True):
    """One run of a health check; times are RFC 3339."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(Model, kw_only=True):
    """How a container with a health check is: starting, healthy or unhealthy."""

    status: str
    failing_streak: int = 0
    log: list[HealthcheckResult] = msgspec.field(default_factory=list)


class ContainerState(Model, kw_only=True):
    """What a container is doing (schema ContainerState); one that is paused is running too.

    `status` is created, running, paused, restarting, removing, exited or dead; times are RFC 3339.
    """

    status: str
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = _NEVER
    finished_at: str = _NEVER
    health: Health | msgspec.UnsetType = msgspec.UNSET


class MountPoint(Model, kw_only=True):
    """A mount that a container has (schema MountPoint)."""

    type: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    source: str = ""
    destination: str
    driver: str | msgspec.UnsetType = msgspec.UNSET
    mode: str = ""
    rw: bool = msgspec.field(name="RW", default=True)
    propagation: str = ""


class ContainerInspect(Model, kw_only=True):
    """``GET /containers/{id}/json``. `created` is RFC 3339; sizes are bytes, if asked for."""

    id: str
    created: str
    path: str
    args: list[str]
    state: ContainerState
    image: str
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    name: str
    restart_count: int = 0
    driver: str = ""
    platform: str = "linux"
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = msgspec.field(name="ExecIDs", default=None)
    host_config: HostConfig
    graph_driver: GraphDriverData = msgspec.field(default_factory=GraphDriverData)
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.UNSET
    mounts: list[MountPoint] = msgspec.field(default_factory=list)
    config: ContainerConfig
    network_settings: NetworkSettings = msgspec.field(default_factory=NetworkSettings)


class SummaryHostConfig(Model, kw_only=True):
    """What a list tells of a container's `HostConfig`."""

    network_mode: str = ""


class ContainerSummary(Model, kw_only=True):
    """One row of ``GET /containers/json``. `created` in unix seconds; sizes if asked for."""

    id: str
    names: list[str]
    image: str
    image_id: str = msgspec.field(name="ImageID")
    command: str
    created: int
    ports: list[Port] = msgspec.field(default_factory=list)
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.UNSET
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    state: str
    status: str
    host_config: SummaryHostConfig = msgspec.field(default_factory=SummaryHostConfig)
    network_settings: SummaryNetworks = msgspec.field(default_factory=SummaryNetworks)
    mounts: list[MountPoint] = msgspec.field(default_factory=list)


class ContainerWaitExitError(Model, kw_only=True):
    """What went wrong with waiting."""

    message: str


class ContainerWaitResponse(Model, kw_only=True):
    """``POST /containers/{id}/wait``: the exit status, 128 and the signal for one that was killed.

    `error` tells what kept the container from starting, or from being removed.
    """

    error: ContainerWaitExitError | msgspec.UnsetType = msgspec.UNSET
    status_code: int


class ContainerTopResponse(Model, kw_only=True):
    """``GET /containers/{id}/top``: the rows of ``ps`` and their headings."""

    processes: list[list[str]]
    titles: list[str]


class ContainerChange(Model, kw_only=True):
    """A path that differs from the image's: `kind` 0 for changed, 1 added, 2 deleted."""

    path: str
    kind: int


class ContainerUpdateResponse(Model, kw_only=True):
    """``POST /containers/{id}/update``."""

    warnings: list[str] | None = None


class ContainerPruneResponse(Model, kw_only=True):
    """``POST /containers/prune``; `containers_deleted` is None if nothing was pruned."""

    containers_deleted: list[str] | None = None
    space_reclaimed: int = 0


class PathStat(msgspec.Struct, rename="camel", kw_only=True):
    """A file in a container, as the header ``X-Docker-Container-Path-Stat`` tells it.

    `size` in bytes; `mode` has Go's bits (``fs.FileMode``), not those of ``stat``; `mtime` is
    RFC 3339; `link_target` is what a symbolic link resolves to inside of the container.
    """

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""
