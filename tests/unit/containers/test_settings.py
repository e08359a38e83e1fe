from dataclasses import replace
from typing import Any

import pytest

from lamina.containers.log_options import LogOptions
from lamina.containers.names import check_name, new_name
from lamina.containers.sandboxing import container_limits
from lamina.containers.settings import complete, merge_config, warnings_about
from lamina.errors import InvalidParameter
from lamina.models import DeviceRequest, HostConfig, LogConfig, RestartPolicy, Ulimit
from lamina.oci.containerconfig import ContainerConfig, Healthcheck
from lamina.runtime.ocispec import Machine

MACHINE = replace(Machine.read(rootless=False), unified_cgroups=False, weighs_io=True)
IMAGE = ContainerConfig(
    cmd=("image-cmd",),
    entrypoint=("image-entry",),
    env=("A=image", "B=image"),
    exposed_ports={"80/tcp": {}},
    healthcheck=Healthcheck(test=("CMD", "x"), retries=7),
    labels={"a": "image", "b": "image"},
    stop_signal="SIGINT",
    user="image",
    volumes={"/image": {}},
    working_dir="/image",
)


@pytest.mark.parametrize(
    ("own", "argv"),
    [
        ({}, (("image-entry",), ("image-cmd",))),
        ({"cmd": ("own",)}, (("image-entry",), ("own",))),
        ({"entrypoint": ("own",)}, (("own",), None)),
        ({"entrypoint": ("own",), "cmd": ("arg",)}, (("own",), ("arg",))),
        ({"entrypoint": ()}, (None, ("image-cmd",))),
    ],
)
def test_commands_are_merged_by_dockers_rules(own: dict[str, Any], argv: tuple[Any, Any]) -> None:
    merged = merge_config(ContainerConfig(**own), IMAGE)
    assert (merged.entrypoint, merged.cmd) == argv


def test_what_is_set_wins_and_sets_are_joined() -> None:
    own = ContainerConfig(
        env=("B=own", "C"),
        labels={"b": "own"},
        exposed_ports={"81/tcp": {}},
        volumes={"/own": {}},
        healthcheck=Healthcheck(interval=5),
        user="own",
    )
    merged = merge_config(own, IMAGE)
    assert merged.env == ("B=own", "C", "A=image")
    assert merged.labels == {"a": "image", "b": "own"}
    assert set(merged.exposed_ports) == {"80/tcp", "81/tcp"}
    assert merged.volumes == {"/own": {}, "/image": {}}
    assert merged.healthcheck == Healthcheck(test=("CMD", "x"), retries=7, interval=5)
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("own", "/image", "SIGINT")


def completed(config: ContainerConfig, **host: Any) -> tuple[ContainerConfig, HostConfig]:  # noqa: ANN401 - a HostConfig's fields
    return complete(config, IMAGE, HostConfig(**host), id="f" * 64, machine=MACHINE, runtime="runc")


def test_what_docker_assumes() -> None:
    config, host = completed(ContainerConfig(), memory=64 << 20)
    assert config.hostname == "f" * 12
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode) == ("default", "private", "host")
    assert (host.shm_size, host.memory_swap) == (64 << 20, 128 << 20)
    assert host.log_config.type == "json-file"
    assert "/proc/kcore" in (host.masked_paths or ())
    assert completed(ContainerConfig(), privileged=True)[1].masked_paths == ()
    assert completed(ContainerConfig(), network_mode="host")[0].hostname == ""


def test_no_command() -> None:
    with pytest.raises(InvalidParameter, match="no command specified"):
        complete(
            ContainerConfig(),
            ContainerConfig(),
            HostConfig(),
            id="f" * 64,
            machine=MACHINE,
            runtime="runc",
        )


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"memory_swap": 1 << 30}, "always set the Memory limit"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"restart_policy": RestartPolicy(name="maybe")}, "invalid restart policy 'maybe'"),
        ({"restart_policy": RestartPolicy(name="no", maximum_retry_count=1)}, "on-failure"),
        ({"log_config": LogConfig(type="syslog")}, "no log driver named 'syslog'"),
        ({"userns_mode": "private"}, "invalid userns mode"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        (
            {"device_requests": (DeviceRequest(capabilities=(("gpu",),)),)},
            r'could not select device driver "" with capabilities: \[\[gpu\]\]',
        ),
    ],
)
def test_what_is_refused(host: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        completed(ContainerConfig(), **host)


def test_limits() -> None:
    limits = container_limits(
        HostConfig(nano_cpus=1_500_000_000, ulimits=(Ulimit(name="nofile", soft=1, hard=-1),))
    )
    assert (limits.cpu_period, limits.cpu_quota) == (100_000, 150_000)
    assert limits.ulimits[0].hard == (1 << 64) - 1
    for wrong in (Ulimit(name="x"), Ulimit(name="nofile", soft=2, hard=1)):
        with pytest.raises(InvalidParameter):
            container_limits(HostConfig(ulimits=(wrong,)))


def test_nothing_is_passed_over_in_silence() -> None:
    assert warnings_about(HostConfig(network_mode="none"), MACHINE, no_network="no way") == []
    assert warnings_about(HostConfig(), MACHINE, no_network="no way") == ["no way"]
    found = warnings_about(
        HostConfig(links=("a",), port_bindings={"80/tcp": None}, oom_kill_disable=True), MACHINE
    )
    assert len(found) == 3
    (limits,) = warnings_about(HostConfig(pids_limit=1), replace(MACHINE, rootless=True))
    assert "need root" in limits


def test_a_weight_is_discarded_where_there_are_none() -> None:
    weightless = replace(MACHINE, weighs_io=False)
    for machine, weight in ((MACHINE, 500), (weightless, 0)):
        asked = HostConfig(blkio_weight=500)
        _, host = complete(
            ContainerConfig(), IMAGE, asked, id="f" * 64, machine=machine, runtime="runc"
        )
        assert host.blkio_weight == weight
        assert bool(warnings_about(asked, machine)) is not bool(weight)


def test_names() -> None:
    assert check_name("/a.b") == "a.b"
    for wrong in ("", "a", "-ab", "a b", "a/b"):
        with pytest.raises(InvalidParameter, match="Invalid container name"):
            check_name(wrong)
    assert check_name(new_name(())) is not None


@pytest.mark.parametrize(
    ("text", "size"),
    [("10", 10), ("10k", 10240), ("1m", 1 << 20), ("2g", 2 << 30), ("5mb", 5 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    assert LogOptions.parse({"max-size": text}).limit == size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "²"}, "max-file cannot be less than 1"),
        ({"max-file": "9" * 5000}, "max-file cannot be less than 1"),
        ({"max-size": "x"}, "invalid size"),
        ({"max-size": "9" * 400}, "invalid size"),
        ({"syslog-address": "x"}, "unknown log opt 'syslog-address' for json-file log driver"),
    ],
)
def test_log_options_that_are_none(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        LogOptions.parse(options)
    with pytest.raises(InvalidParameter, match=words):
        completed(ContainerConfig(), log_config=LogConfig(config=options))


@pytest.mark.parametrize("text", ["", "m", "1x", "-"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid size"):
        LogOptions.parse({"max-size": text})
