"""How a container was asked for, complete: with what the image says and what Docker assumes."""

import posixpath
from collections.abc import Iterable
from typing import Final

import msgspec

from lamina.containers.log_options import LogOptions
from lamina.containers.resources import check_resources
from lamina.dockerfile.signals import parse_signal
from lamina.errors import InvalidParameter, NotFound, NotImplementedHere
from lamina.models import HostConfig, LogConfig, MountPoint
from lamina.oci.containerconfig import ContainerConfig, Healthcheck
from lamina.runtime.capabilities import chosen_capabilities
from lamina.runtime.hostfiles import host_line
from lamina.runtime.networks.network import Endpoint
from lamina.runtime.ocispec import MASKED_PATHS, READONLY_PATHS, Machine
from lamina.runtime.spec import DEFAULT_SHM_SIZE

__all__ = [
    "LOG_DRIVERS",
    "UNWEIGHED",
    "Settings",
    "State",
    "check_policy",
    "complete",
    "merge_config",
    "security_options",
    "wants_network",
    "warnings_about",
]

LOG_DRIVERS: Final = ("json-file", "none")
_GO_TRUTH: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
"""What Go's strconv.ParseBool takes."""
_MILLISECOND: Final = 1_000_000
_RESTART_POLICIES: Final = ("", "no", "always", "unless-stopped", "on-failure")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a container's record keeps of how it was made."""

    image: str
    """The image's name, as it was asked for."""
    config: ContainerConfig
    host_config: HostConfig
    mounts: tuple[MountPoint, ...] = ()
    """Binds and volumes, with true sources."""
    anonymous: tuple[str, ...] = ()
    """Names of the volumes that live and die with the container."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The command with its arguments."""
        return (*(self.config.entrypoint or ()), *(self.config.cmd or ()))


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a container's record keeps of its life; times in unix nanoseconds, 0 for never."""

    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started: int = 0
    finished: int = 0
    restarts: int = 0
    """How often its restart policy has started it again."""
    stopped_by_hand: bool = False
    endpoint: Endpoint | None = None
    """In its own network, while it runs, if that has a way out."""


def merge_config(own: ContainerConfig, image: ContainerConfig) -> ContainerConfig:
    """A container's configuration, with what it leaves open as the image has it.

    The same rules make the configuration of an image that is committed of a container.
    """
    entrypoint, cmd = own.entrypoint, own.cmd
    if not entrypoint:
        if not cmd:
            cmd = image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    check = (
        image.healthcheck if own.healthcheck is None else own.healthcheck.over(image.healthcheck)
    )
    named = {entry.partition("=")[0] for entry in own.env or ()}
    inherited = [e for e in image.env or () if e.partition("=")[0] not in named]
    return msgspec.structs.replace(
        own,
        user=own.user or image.user,
        exposed_ports={**image.exposed_ports, **own.exposed_ports},
        env=(*(own.env or ()), *inherited) or None,
        cmd=cmd or None,
        entrypoint=entrypoint or None,
        healthcheck=check,
        labels={**(image.labels or {}), **(own.labels or {})},
        working_dir=own.working_dir or image.working_dir,
        volumes={**(image.volumes or {}), **(own.volumes or {})} or None,
        stop_signal=own.stop_signal or image.stop_signal,
        shell=own.shell or image.shell,
    )


def complete(
    config: ContainerConfig,
    image: ContainerConfig | None,
    host: HostConfig,
    *,
    id: str,
    machine: Machine,
    runtime: str,
) -> tuple[ContainerConfig, HostConfig]:
    """What is asked for, checked, and with all that Docker assumes where nothing is said.

    `runtime` is the OCI runtime that there is. What the kernel of the `machine` cannot weigh is
    discarded: see `warnings_about`. Raises InvalidParameter with dockerd's words.
    """
    if not machine.weighs_io:
        host = msgspec.structs.replace(host, blkio_weight=0)
    if config.entrypoint == ("",):
        config = msgspec.structs.replace(config, entrypoint=())
    if image is not None:
        config = merge_config(config, image)
    if not config.hostname and host.network_mode != "host" and host.uts_mode != "host":
        config = msgspec.structs.replace(config, hostname=id[:12])
    if config.working_dir:
        if not config.working_dir.startswith("/"):
            raise InvalidParameter(
                f"the working directory '{config.working_dir}' is invalid, it needs to be an"
                " absolute path"
            )
        tidy = posixpath.normpath(f"/{config.working_dir.lstrip('/')}")
        config = msgspec.structs.replace(config, working_dir=tidy)
    for entry in config.env or ():
        if entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
    if config.stop_signal:
        parse_signal(config.stop_signal)
    _check_health(config)
    _check_host(host)
    if not (config.entrypoint or config.cmd):
        raise InvalidParameter("no command specified")
    if host.runtime and host.runtime != runtime:
        raise InvalidParameter(f"unknown or invalid runtime name: {host.runtime}")
    log = host.log_config
    privileged = host.privileged
    unified = machine.unified_cgroups
    return config, msgspec.structs.replace(
        host,
        network_mode=host.network_mode or "default",
        shm_size=host.shm_size or DEFAULT_SHM_SIZE,
        ipc_mode=host.ipc_mode or "private",
        cgroupns_mode=host.cgroupns_mode or ("private" if unified else "host"),
        log_config=LogConfig(type=log.type or "json-file", config=log.config or {}),
        masked_paths=_paths(host.masked_paths, () if privileged else MASKED_PATHS),
        readonly_paths=_paths(host.readonly_paths, () if privileged else READONLY_PATHS),
        memory_swap=host.memory_swap or 2 * host.memory,
        runtime=runtime,
        oom_kill_disable=None if unified else bool(host.oom_kill_disable),
    )


def _check_health(config: ContainerConfig) -> None:
    check = config.healthcheck or Healthcheck()
    for value, name in (
        (check.interval, "Interval"),
        (check.timeout, "Timeout"),
        (check.start_period, "StartPeriod"),
    ):
        if value and value < _MILLISECOND:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")


def _paths(given: tuple[str, ...] | None, usual: Iterable[str]) -> tuple[str, ...]:
    return tuple(usual) if given is None else given


def _check_host(host: HostConfig) -> None:
    """Refuse what dockerd refuses, and what is not there."""
    check_resources(host)
    check_policy(host)
    security_options(host)
    try:
        chosen_capabilities(add=host.cap_add or (), known=frozenset())
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid CapAdd: {error}") from error
    try:
        chosen_capabilities(drop=host.cap_drop or (), known=frozenset())
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid CapDrop: {error}") from error
    for text in host.extra_hosts or ():
        host_line(text)
    if (driver := host.log_config.type or "json-file") not in LOG_DRIVERS:
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    if driver == "json-file":
        LogOptions.parse(host.log_config.config or {})
    _check_network(host.network_mode)
    if host.device_requests:
        asked = host.device_requests[0]
        wanted = " ".join(f"[{' '.join(names)}]" for names in asked.capabilities or ())
        raise InvalidParameter(
            f'could not select device driver "{asked.driver}" with capabilities: [{wanted}]'
        )
    if host.userns_mode not in {"", "host"}:
        raise InvalidParameter(f"invalid userns mode: {host.userns_mode}")
    if host.cgroupns_mode not in {"", "host", "private"}:
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.isolation.lower() not in {"", "default"}:
        raise InvalidParameter(
            f"Invalid isolation: \"{host.isolation}\" - linux only supports 'default'"
        )
    if host.uts_mode not in {"", "host"}:
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")


def security_options(host: HostConfig) -> dict[str, str]:
    """The security options by name; `no-new-privileges` is true or false. InvalidParameter."""
    found = {}
    for text in host.security_opt or ():
        name, separator, value = text.partition("=" if "=" in text else ":")
        if text == "no-new-privileges":
            value = "true"
        elif text == "disable":
            name, value = "label", "disable"
        elif not separator:
            raise InvalidParameter(f'invalid --security-opt 1: "{text}"')
        if name == "no-new-privileges" and value in _GO_TRUTH:
            value = "true" if _GO_TRUTH[value] else "false"
        elif name not in {"seccomp", "apparmor", "label", "systempaths"}:
            raise InvalidParameter(f'invalid --security-opt 2: "{text}"')
        found[name] = value
    return found


def check_policy(host: HostConfig) -> None:
    """Refuse a restart policy that is none. InvalidParameter."""
    policy = host.restart_policy
    if policy.name not in _RESTART_POLICIES:
        raise InvalidParameter(f"invalid restart policy '{policy.name}'")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidParameter(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if host.auto_remove and policy.name not in {"", "no"}:
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")


def _check_network(mode: str) -> None:
    kind, _, other = mode.partition(":")
    if kind == "container" and other:
        return
    if mode not in {"", "default", "bridge", "host", "none"}:
        raise NotFound(f"network {mode} not found")


UNWEIGHED: Final = (
    "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
)

_UNUSED: Final = {
    "blkio_weight_device": "block IO weights of devices",
    "blkio_device_read_bps": "block IO rates of devices",
    "blkio_device_write_bps": "block IO rates of devices",
    "blkio_device_read_iops": "block IO rates of devices",
    "blkio_device_write_iops": "block IO rates of devices",
    "links": "links between containers",
    "storage_opt": "storage options",
    "cpu_realtime_period": "real-time scheduling limits",
    "cpu_realtime_runtime": "real-time scheduling limits",
}
"""Parts of a HostConfig that nothing is done about, and what they are called."""


_LIMITS: Final = (
    "memory", "memory_reservation", "nano_cpus", "cpu_shares", "cpu_period", "cpu_quota",
    "cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight",
)  # fmt: skip


def wants_network(host: HostConfig) -> bool:
    """Whether it is to have a network of its own with a way out."""
    return host.network_mode in {"", "default", "bridge"}


def warnings_about(host: HostConfig, machine: Machine, *, no_network: str = "") -> list[str]:
    """What the caller of a container that is asked for should know.

    `no_network` is said of one that wants a network.
    """
    found = []
    for name, what in _UNUSED.items():
        if getattr(host, name):
            found.append(f"lamina does not support {what}; they are ignored.")
    if set(host.log_config.config or ()) - {"max-size", "max-file"}:
        found.append("lamina supports the log options max-size and max-file only.")
    if host.port_bindings or host.publish_all_ports:
        found.append("lamina does not publish ports; the container's are not reachable.")
    if no_network and wants_network(host):
        found.append(no_network)
    if host.oom_kill_disable is not None and host.oom_kill_disable and not host.memory:
        found.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result"
            " in the system running out of resources."
        )
    if host.blkio_weight and not machine.weighs_io:
        found.append(UNWEIGHED)
    if machine.rootless and any(getattr(host, name) for name in _LIMITS):
        found.append("Limits of resources need root; they are ignored.")
    return list(dict.fromkeys(found))


def refuse_named_volume(name: str) -> NotImplementedHere:
    """What is said of a volume that has a name."""
    return NotImplementedHere(
        f"lamina has no named volumes, such as {name!r}: mount a directory of the host instead"
    )
