"""How a build's commands run: the request's limits, as a container has them."""

from lamina.build.request import RunSettings
from lamina.containers.resources import check_resources
from lamina.models import HostConfig, LogConfig
from lamina.runtime.hostfiles import host_line
from lamina.runtime.spec import DEFAULT_SHM_SIZE


def check_settings(settings: RunSettings) -> None:
    """Raise InvalidParameter, in dockerd's words, for what no container could have."""
    check_resources(host_config(settings))
    for text in settings.extra_hosts:
        host_line(text)


def host_config(
    settings: RunSettings, *, privileged: bool = False, network: str = ""
) -> HostConfig:
    """What the container of a step has; `network` is the step's own mode, if any."""
    return HostConfig(
        log_config=LogConfig(type="none"),
        network_mode=network or settings.network,
        extra_hosts=settings.extra_hosts or None,
        privileged=privileged,
        shm_size=settings.shm_size or DEFAULT_SHM_SIZE,
        memory=settings.memory,
        memory_swap=settings.memory_swap or 2 * settings.memory,
        cgroup_parent=settings.cgroup_parent,
        cpu_shares=settings.cpu_shares,
        cpu_period=settings.cpu_period,
        cpu_quota=settings.cpu_quota,
        cpuset_cpus=settings.cpuset_cpus,
        cpuset_mems=settings.cpuset_mems,
        ulimits=settings.ulimits or None,
    )
