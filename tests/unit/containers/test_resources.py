import os
import re

import pytest

from lamina.containers.resources import check_resources, check_update
from lamina.errors import Conflict, InvalidParameter
from lamina.models import HostConfig

COUNT = len(os.sched_getaffinity(0))
MIB = 1 << 20


@pytest.mark.parametrize(
    "host",
    [
        HostConfig(),
        HostConfig(memory=6 * MIB, memory_swap=-1, memory_reservation=6 * MIB, memory_swappiness=0),
        HostConfig(memory=8 * MIB, memory_swap=8 * MIB, memory_swappiness=-1),
        HostConfig(nano_cpus=COUNT * 10**9),
        HostConfig(cpu_period=1000, cpu_quota=1000),
        HostConfig(cpu_period=1_000_000, cpu_quota=-1),
        HostConfig(cpuset_mems="0"),
        HostConfig(cpuset_cpus=str(min(os.sched_getaffinity(0)))),
    ],
)
def test_what_can_be(host: HostConfig) -> None:
    check_resources(host)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (HostConfig(memory=1), "Minimum memory limit allowed is 6MB"),
        (HostConfig(memory=-1), "Minimum memory limit allowed is 6MB"),
        (HostConfig(memory_swap=8 * MIB), "You should always set the Memory limit"),
        (HostConfig(memory=8 * MIB, memory_swap=7 * MIB), "Minimum memoryswap limit"),
        (HostConfig(memory_reservation=1), "Minimum memory reservation allowed is 6MB"),
        (HostConfig(memory=8 * MIB, memory_reservation=9 * MIB), "less than memory reservation"),
        (HostConfig(memory_swappiness=101), "Invalid value: 101, valid memory swappiness"),
        (HostConfig(oom_score_adj=-1001), "Invalid value -1001, range for oom score adj"),
        (HostConfig(nano_cpus=1, cpu_period=1000), "Nano CPUs and CPU Period cannot both be set"),
        (HostConfig(nano_cpus=1, cpu_quota=1000), "Nano CPUs and CPU Quota cannot both be set"),
        (HostConfig(nano_cpus=-1), f"Range of CPUs is from 0.01 to {COUNT}.00"),
        (HostConfig(nano_cpus=COUNT * 10**9 + 1), f"as there are only {COUNT} CPUs available"),
        (HostConfig(cpu_period=999), "CPU cfs period can not be less than 1ms"),
        (HostConfig(cpu_period=1_000_001), "larger than 1s (i.e. 1000000)"),
        (HostConfig(cpu_quota=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (HostConfig(cpuset_cpus="0-"), "Invalid value 0- for cpuset cpus: invalid format: 0-"),
        (HostConfig(cpuset_cpus="2-1"), "Invalid value 2-1 for cpuset cpus"),
        (HostConfig(cpuset_cpus="0-999999999"), "Invalid value 0-999999999 for cpuset cpus"),
        (
            HostConfig(cpuset_cpus="8191"),
            "Requested CPUs are not available - requested 8191",
        ),
        (HostConfig(cpuset_mems="x"), "Invalid value x for cpuset mems: invalid format: x"),
        (HostConfig(cpuset_mems="0,99"), "Requested memory nodes are not available - requested 0,"),
    ],
)
def test_what_cannot_be(host: HostConfig, message: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(message)):
        check_resources(host)


@pytest.mark.parametrize(
    ("now", "wanted", "message"),
    [
        (HostConfig(), HostConfig(memory=8 * MIB), "Memory limit should be smaller than already"),
        (HostConfig(cpu_period=1000), HostConfig(nano_cpus=1), "CPU Period has already been set"),
        (HostConfig(cpu_quota=1000), HostConfig(nano_cpus=1), "CPU Quota has already been set"),
        (HostConfig(nano_cpus=1), HostConfig(cpu_period=1000), "NanoCPUs has already been set"),
        (HostConfig(nano_cpus=1), HostConfig(cpu_quota=1000), "NanoCPUs has already been set"),
    ],
)
def test_what_does_not_go_with_what_holds(
    now: HostConfig, wanted: HostConfig, message: str
) -> None:
    with pytest.raises(Conflict, match=f"Cannot update container x: .*{message}"):
        check_update("x", now, wanted)


def test_what_goes_with_what_holds() -> None:
    now = HostConfig(memory=8 * MIB, memory_swap=16 * MIB, nano_cpus=1)
    for wanted in (
        HostConfig(),
        HostConfig(memory=16 * MIB),
        HostConfig(memory=32 * MIB, memory_swap=-1),
        HostConfig(memory_swap=64 * MIB),
        HostConfig(nano_cpus=2),
    ):
        check_update("x", now, wanted)
    with pytest.raises(InvalidParameter, match="allowed is 6MB"):
        check_update("x", now, HostConfig(memory=1))
