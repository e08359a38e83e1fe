"""A container's settings as the sandbox that the runtime starts."""

import json
from collections.abc import Callable
from typing import Any, Final

from lamina.containers.mounts import runtime_mounts
from lamina.containers.settings import Settings, security_options
from lamina.errors import InvalidParameter
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from lamina.runtime.capabilities import chosen_capabilities
from lamina.runtime.ocispec import Machine
from lamina.runtime.seccomp import converted_profile
from lamina.runtime.spec import (
    Device,
    Limits,
    NetworkMode,
    ProcessSpec,
    SandboxSpec,
    Sharing,
    Ulimit,
)
from lamina.snapshots.store import Mounted

__all__ = ["container_limits", "container_process", "sandbox_spec"]

_CPU_PERIOD: Final = 100_000
_IPC_MODES: Final = ("", "container", "host", "none", "private", "shareable")
_RLIMITS: Final = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending"
    " stack"
)


def sandbox_spec(
    settings: Settings,
    mounted: Mounted,
    machine: Machine,
    *,
    process_of: Callable[[str], int],
) -> SandboxSpec:
    """What to start; `process_of` gives the process ID of another container, which must run.

    Raises InvalidParameter, Conflict.
    """
    config, host = settings.config, settings.host_config
    network, network_of = _network(host, process_of)
    capabilities = machine.capabilities
    if not host.privileged:
        capabilities = chosen_capabilities(
            add=host.cap_add or (), drop=host.cap_drop or (), known=machine.capabilities
        )
    options = security_options(host)
    if host.ipc_mode.partition(":")[0] not in _IPC_MODES:
        raise InvalidParameter(f"Invalid IPC mode: {host.ipc_mode}")
    return SandboxSpec(
        rootfs=mounted.inside,
        rootfs_here=mounted.path,
        process=container_process(settings, capabilities, options),
        readonly=host.readonly_rootfs,
        mounts=tuple(runtime_mounts(host, settings.mounts)),
        devices=tuple(
            Device(
                device.path_on_host,
                device.path_in_container or device.path_on_host,
                device.cgroup_permissions or "rwm",
            )
            for device in host.devices or ()
        ),
        device_rules=host.device_cgroup_rules or (),
        limits=container_limits(host),
        hostname=config.hostname,
        domainname=config.domainname,
        network=network,
        network_of=network_of,
        extra_hosts=host.extra_hosts or (),
        dns=host.dns or (),
        dns_search=host.dns_search or (),
        dns_options=host.dns_options or (),
        pid=_shared(host.pid_mode, process_of),
        ipc=_shared(host.ipc_mode, process_of),
        uts=Sharing.HOST if host.uts_mode == "host" else Sharing.PRIVATE,
        init=bool(host.init),
        privileged=host.privileged,
        seccomp=_profile(options.get("seccomp", ""), capabilities, machine),
        masked_paths=host.masked_paths,
        readonly_paths=host.readonly_paths,
        sysctls=host.sysctls or {},
        oom_score_adj=host.oom_score_adj,
        cgroup_parent=host.cgroup_parent,
    )


def container_process(
    settings: Settings, capabilities: frozenset[str], options: dict[str, str]
) -> ProcessSpec:
    """The first process."""
    config, host = settings.config, settings.host_config
    return ProcessSpec(
        argv=settings.argv,
        env=environment(config, host),
        cwd=config.working_dir or "/",
        user=config.user,
        groups=host.group_add or (),
        tty=config.tty,
        console_size=host.console_size if host.console_size != (0, 0) else None,
        capabilities=capabilities,
        no_new_privileges=options.get("no-new-privileges") == "true",
    )


def environment(config: ContainerConfig, host: HostConfig) -> tuple[str, ...]:
    """The environment, with the container's name for itself."""
    hostname = () if host.network_mode == "host" else (f"HOSTNAME={config.hostname}",)
    return (*hostname, *(config.env or ()))


def container_limits(host: HostConfig) -> Limits:
    """The limits. InvalidParameter."""
    period, quota = host.cpu_period, host.cpu_quota
    if host.nano_cpus:
        period, quota = _CPU_PERIOD, host.nano_cpus * _CPU_PERIOD // 1_000_000_000
    if host.cpu_shares < 0:
        raise InvalidParameter("shares: invalid argument")
    for limit in host.ulimits or ():
        if limit.name not in _RLIMITS.split():
            raise InvalidParameter(f"invalid ulimit type: {limit.name}")
        if limit.hard != -1 and (limit.soft > limit.hard or limit.soft == -1):
            raise InvalidParameter(
                "ulimit soft limit must be less than or equal to hard limit:"
                f" {limit.soft} > {limit.hard}"
            )
    return Limits(
        memory=host.memory,
        memory_swap=host.memory_swap,
        memory_reservation=host.memory_reservation,
        memory_swappiness=None if host.memory_swappiness in {None, -1} else host.memory_swappiness,
        oom_kill_disable=bool(host.oom_kill_disable),
        cpu_shares=host.cpu_shares,
        cpu_period=period,
        cpu_quota=quota,
        cpuset_cpus=host.cpuset_cpus,
        cpuset_mems=host.cpuset_mems,
        pids=max(0, host.pids_limit or 0),
        blkio_weight=host.blkio_weight,
        shm_size=host.shm_size,
        ulimits=tuple(
            Ulimit(limit.name, _rlimit(limit.soft), _rlimit(limit.hard))
            for limit in host.ulimits or ()
        ),
    )


def _rlimit(value: int) -> int:
    return (1 << 64) - 1 if value == -1 else value


def _network(host: HostConfig, process_of: Callable[[str], int]) -> tuple[NetworkMode, int | None]:
    kind, _, other = host.network_mode.partition(":")
    if kind == "container":
        return NetworkMode.CONTAINER, process_of(other)
    if kind in {"host", "none"}:
        return NetworkMode(kind), None
    return NetworkMode.BRIDGE, None


def _shared(mode: str, process_of: Callable[[str], int]) -> Sharing | int:
    kind, _, other = mode.partition(":")
    if kind == "container":
        return process_of(other)
    return Sharing.HOST if kind == "host" else Sharing.PRIVATE


def _profile(given: str, capabilities: frozenset[str], machine: Machine) -> dict[str, Any] | None:
    if given in {"", "builtin"}:
        return None
    if given == "unconfined":
        return {}
    try:
        return converted_profile(json.loads(given), capabilities, machine.architecture)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise InvalidParameter(f"Decoding seccomp profile failed: {error}") from None
