"""Wire types of the Docker Engine API, shared by the server and the client.

Field names, JSON keys and key order are those of the Engine API v1.42 schemas, so that what a
client re-indents and prints (`docker image inspect`) reads as it does against dockerd. Fields that
a version of the API lacks are removed or added in ``lamina.api.versions``, as are null for empty
lists and ``<none>`` for missing names in old versions: a program sees the same value whatever was
spoken.
"""

from typing import Any

import msgspec

from lamina.oci.config import ContainerConfig


class _Model(msgspec.Struct, rename="pascal"):
    """Base of the wire types: Go's exported names. Each says `kw_only`, which is not inherited."""


class ImageSummary(_Model, kw_only=True):
    """One row of ``GET /images/json`` (schema ImageSummary). Bytes; ``created`` in unix seconds.

    An image without names has empty lists; ``<none>:<none>`` is how the API below 1.43 writes that.
    """

    containers: int = -1
    created: int = 0
    id: str
    labels: dict[str, str] | None = None
    parent_id: str = ""
    repo_digests: list[str] = msgspec.field(default_factory=list)
    repo_tags: list[str] = msgspec.field(default_factory=list)
    shared_size: int = -1
    size: int = 0
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET


class GraphDriverData(_Model, kw_only=True):
    """Where a root filesystem lies (schema GraphDriverData)."""

    data: dict[str, str] | None = None
    name: str = ""


class RootFS(_Model, kw_only=True):
    """The diff IDs of an image, base layer first."""

    type: str = "layers"
    layers: list[str] | msgspec.UnsetType = msgspec.UNSET


class ImageMetadata(_Model, kw_only=True):
    """What this engine knows beside the image's own configuration."""

    last_tag_time: str = "0001-01-01T00:00:00Z"


class ImageInspect(_Model, kw_only=True):
    """``GET /images/{name}/json`` (schema ImageInspect). ``created`` is RFC 3339 to nanoseconds."""

    id: str
    repo_tags: list[str] = msgspec.field(default_factory=list)
    repo_digests: list[str] = msgspec.field(default_factory=list)
    parent: str = ""
    comment: str = ""
    created: str = "0001-01-01T00:00:00Z"
    container: str | msgspec.UnsetType = msgspec.UNSET
    container_config: ContainerConfig | msgspec.UnsetType | None = msgspec.UNSET
    docker_version: str = ""
    author: str = ""
    config: ContainerConfig | None = None
    architecture: str = ""
    variant: str | msgspec.UnsetType = msgspec.UNSET
    os: str = ""
    os_version: str | msgspec.UnsetType = msgspec.UNSET
    size: int = 0
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET
    graph_driver: GraphDriverData = msgspec.field(default_factory=GraphDriverData)
    root_fs: RootFS = msgspec.field(name="RootFS", default_factory=RootFS)
    metadata: ImageMetadata = msgspec.field(default_factory=ImageMetadata)


class HistoryResponseItem(_Model, kw_only=True):
    """One entry of ``GET /images/{name}/history``, newest first. ``created`` in unix seconds."""

    comment: str = ""
    created: int = 0
    created_by: str = ""
    id: str = "<missing>"
    size: int = 0
    tags: list[str] | None = None


class ImageDeleteResponseItem(_Model, omit_defaults=True, kw_only=True):
    """``untagged`` (a familiar reference) or ``deleted`` (an image ID, a layer's chain ID)."""

    deleted: str = ""
    untagged: str = ""


class ImagePruneResponse(_Model, kw_only=True):
    """``POST /images/prune``; ``images_deleted`` is None if nothing was pruned."""

    images_deleted: list[ImageDeleteResponseItem] | None = None
    space_reclaimed: int = 0


class IdResponse(_Model, kw_only=True):
    """``POST /commit``."""

    id: str


class VersionComponent(_Model, kw_only=True):
    """One component of ``GET /version``."""

    name: str
    version: str
    details: dict[str, str] | None = None


class PlatformName(_Model, kw_only=True):
    """The product's name in ``GET /version``."""

    name: str = ""


class SystemVersion(_Model, kw_only=True):
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
    build_time: str = ""


class SystemDataUsage(_Model, kw_only=True):
    """``GET /system/df`` as of API v1.42. ``layers_size`` in bytes."""

    layers_size: int = 0
    images: list[ImageSummary] | None = None
    containers: list[Any] | None = None
    volumes: list[Any] | None = None
    build_cache: list[Any] | None = None


class EventActor(_Model, kw_only=True):
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


class ImageSearchResponseItem(msgspec.Struct, kw_only=True):
    """One row of ``GET /images/search``."""

    star_count: int = 0
    is_official: bool = False
    name: str = ""
    is_automated: bool = False
    description: str = ""


class AuthenticateOK(_Model, kw_only=True):
    """``POST /auth``: a login that succeeded; the token, if any, stands for the password."""

    identity_token: str = ""
    status: str = ""


class DistributionDescriptor(msgspec.Struct, rename="camel", kw_only=True):
    """What a registry has under a name; ``size`` in bytes."""

    media_type: str
    digest: str
    size: int


class DistributionPlatform(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A platform that an image in a registry is for (OCI's names)."""

    architecture: str = ""
    os: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] = msgspec.field(name="os.features", default_factory=list)
    variant: str = ""


class DistributionInspect(_Model, kw_only=True):
    """``GET /distribution/{name}/json`` (schema DistributionInspect)."""

    descriptor: DistributionDescriptor
    platforms: list[DistributionPlatform]


class SystemPing(msgspec.Struct, kw_only=True):
    """The headers of ``GET /_ping``, as a value."""

    api_version: str
    os_type: str
    experimental: bool
    builder_version: str


class ComponentCommit(_Model, kw_only=True):
    """The version of a program that an engine uses (schema Commit)."""

    id: str = msgspec.field(name="ID", default="")


class SystemInfo(_Model, kw_only=True):
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


class BuildPruneResponse(_Model, kw_only=True):
    """``POST /build/prune``; ``caches_deleted`` is None if nothing was pruned."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0


class BuildCache(_Model, kw_only=True):
    """One record of the build cache, as ``GET /system/df`` lists it (schema BuildCache). Bytes."""

    id: str = msgspec.field(name="ID")
    parents: list[str] | None = None
    type: str
    description: str = ""
    in_use: bool = False
    shared: bool = False
    size: int = 0
    created_at: str
    last_used_at: str | None = None
    usage_count: int = 0


class ImageBuildOutput(_Model, kw_only=True):
    """Where a build's result is to go: one of the parameter ``outputs``."""

    type: str
    attrs: dict[str, str] | None = None


class BuildUlimit(_Model, kw_only=True):
    """A limit of the processes that a build runs (schema Ulimit): one of ``ulimits``."""

    name: str
    hard: int = 0
    soft: int = 0
