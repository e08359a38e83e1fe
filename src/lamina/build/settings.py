"""How a build's commands run: the request's limits, checked, in the words of the runtime."""

from collections.abc import Iterable

from lamina.build.request import RunSettings
from lamina.errors import InvalidParameter
from lamina.models import HostConfig, LogConfig
from lamina.runtime.hostfiles import host_line
from lamina.runtime.spec import Limits, Ulimit

_LEAST_MEMORY = 6 << 20


def check_settings(settings: RunSettings) -> None:
    """Raise InvalidParameter, in dockerd's words, for what no container could have."""
    for problem, is_there in _problems(settings):
        if is_there:
            raise InvalidParameter(problem)
    for text in settings.extra_hosts:
        host_line(text)


def _problems(settings: RunSettings) -> Iterable[tuple[str, bool]]:
    memory, swap = settings.memory, settings.memory_swap
    yield "Minimum memory limit allowed is 6MB", memory < _LEAST_MEMORY and memory != 0
    yield (
        "Minimum memoryswap limit should be larger than memory limit, see usage",
        0 < swap < memory,
    )
    yield (
        "You should always set the Memory limit when using Memoryswap limit, see usage",
        swap > 0 and not memory,
    )
    yield "Invalid CPU shares", settings.cpu_shares < 0
    yield (
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        settings.cpu_period != 0 and not 1000 <= settings.cpu_period <= 1_000_000,
    )
    yield "CPU cfs quota can not be less than 1ms (i.e. 1000)", 0 < settings.cpu_quota < 1000
    yield "SHM size can not be less than 0", settings.shm_size < 0


def limits_of(settings: RunSettings) -> Limits:
    """The limits of a sandbox."""
    return Limits(
        memory=settings.memory,
        memory_swap=settings.memory_swap,
        cpu_shares=settings.cpu_shares,
        cpu_period=settings.cpu_period,
        cpu_quota=settings.cpu_quota,
        cpuset_cpus=settings.cpuset_cpus,
        cpuset_mems=settings.cpuset_mems,
        shm_size=settings.shm_size or Limits().shm_size,
        ulimits=tuple(Ulimit(one.name, one.soft, one.hard) for one in settings.ulimits),
    )


def host_config(settings: RunSettings, *, privileged: bool, network: str) -> HostConfig:
    """The same as the container of a step has it; `network` is the step's own mode, if any."""
    return HostConfig(
        log_config=LogConfig(type="none"),
        network_mode=network or settings.network,
        extra_hosts=settings.extra_hosts or None,
        privileged=privileged,
        shm_size=settings.shm_size,
        memory=settings.memory,
        memory_swap=settings.memory_swap,
        cgroup_parent=settings.cgroup_parent,
        cpu_shares=settings.cpu_shares,
        cpu_period=settings.cpu_period,
        cpu_quota=settings.cpu_quota,
        cpuset_cpus=settings.cpuset_cpus,
        cpuset_mems=settings.cpuset_mems,
        ulimits=settings.ulimits or None,
    )
