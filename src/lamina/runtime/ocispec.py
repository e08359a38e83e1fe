"""The OCI runtime's document (runtime-spec, config.md) of a sandbox, as Docker would write it."""

import os
import platform
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamina.errors import InvalidParameter
from lamina.runtime.capabilities import own_capabilities
from lamina.runtime.seccomp import default_profile
from lamina.runtime.spec import (
    DEFAULT_CAPABILITIES,
    Device,
    Limits,
    Mount,
    NetworkMode,
    ProcessSpec,
    SandboxSpec,
    Sharing,
)
from lamina.runtime.users import Identity

__all__ = ["DEFAULT_PATH", "INIT_PATH", "Machine", "process_document", "sandbox_document"]

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT_PATH: Final = "/sbin/docker-init"

MASKED_PATHS: Final = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_SAFE: Final = ("nosuid", "noexec", "nodev")
# Character devices that every container may use: zero, null, urandom, random, tty, console, ptmx,
# terminals; and it may make any device, without being able to use it.
_DEVICE_RULES: Final = (
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
)
_CGROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the document depends on beside the sandbox."""

    architecture: str
    """As uname(2) has it."""
    capabilities: frozenset[str]
    """All that can be passed on."""
    unified_cgroups: bool
    """Whether there is only cgroup v2."""
    swap_limit: bool
    """Whether memory and swap together can be limited."""
    weighs_io: bool
    """Whether control groups can have weights in block I/O."""
    seccomp: bool
    rootless: bool
    """Whether the runtime runs as the only user of a user namespace."""

    @classmethod
    def read(cls, *, rootless: bool) -> "Machine":
        """Ask the kernel."""
        controllers = _CGROUPS / "cgroup.controllers"
        unified = controllers.exists()
        return cls(
            architecture=platform.machine(),
            capabilities=own_capabilities(),
            unified_cgroups=unified,
            swap_limit=unified or (_CGROUPS / "memory/memory.memsw.limit_in_bytes").exists(),
            weighs_io="io" in controllers.read_text().split()
            if unified
            else (_CGROUPS / "blkio/blkio.weight").exists(),
            seccomp=Path("/proc/sys/kernel/seccomp").exists(),
            rootless=rootless,
        )


def sandbox_document(
    name: str,
    spec: SandboxSpec,
    identity: Identity,
    machine: Machine,
    *,
    host_files: Iterable[Mount] = (),
    init: Path | None = None,
    network: str | None = None,
) -> dict[str, Any]:
    """The whole document. InvalidParameter.

    `init` is the program that goes before the process, `network` the path of the network namespace
    that was made for it.
    """
    process = process_document(spec.process, identity, spec, machine)
    mounts = _mounts(spec, machine)
    if init is not None:
        process["args"] = [INIT_PATH, "--", *process["args"]]
        mounts.append(_mount(Mount(INIT_PATH, str(init), options=("bind", "ro"))))
    mounts += [_mount(mount) for mount in host_files]
    mounts += [_mount(mount) for mount in sorted(spec.mounts, key=_depth)]
    document: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(spec.rootfs), "readonly": spec.readonly},
        "mounts": _without_hidden(mounts),
        "linux": _linux(name, spec, machine, network),
    }
    if spec.uts is Sharing.PRIVATE:
        document["hostname"] = spec.hostname
    return document


def process_document(
    process: ProcessSpec, identity: Identity, spec: SandboxSpec, machine: Machine
) -> dict[str, Any]:
    """The part about one process, as the runtime takes it to start another one too."""
    if process.capabilities is not None:
        capabilities = process.capabilities
    elif spec.process.capabilities is not None:
        capabilities = spec.process.capabilities
    else:
        capabilities = machine.capabilities if spec.privileged else DEFAULT_CAPABILITIES
    names = sorted(capabilities & machine.capabilities)
    document: dict[str, Any] = {
        "terminal": process.tty,
        "user": {"uid": identity.uid, "gid": identity.gid},
        "args": list(process.argv),
        "env": environment(process.env, tty=process.tty),
        "cwd": process.cwd or "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), names),
        "noNewPrivileges": process.no_new_privileges,
        "oomScoreAdj": spec.oom_score_adj,
        "rlimits": [
            {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft, "hard": limit.hard}
            for limit in spec.limits.ulimits
        ],
    }
    if not machine.rootless:
        # With the primary one, or a group's rights could be escaped by leaving it (CVE-2022-36109).
        groups = dict.fromkeys((identity.gid, *identity.groups))
        document["user"]["additionalGids"] = list(groups)
    if process.console_size is not None:
        height, width = process.console_size
        document["consoleSize"] = {"height": height, "width": width}
    return document


def environment(given: Sequence[str], *, tty: bool) -> list[str]:
    """What is given, after the usual values of what is missing; a later value of a name wins."""
    names = {entry.partition("=")[0] for entry in given}
    usual = {"PATH": DEFAULT_PATH, **({"TERM": "xterm"} if tty else {})}
    missing = [f"{name}={value}" for name, value in usual.items() if name not in names]
    last = {entry.partition("=")[0]: entry for entry in given}
    return [*missing, *(entry for entry in last.values() if "=" in entry)]


def _depth(mount: Mount) -> int:
    return mount.target.rstrip("/").count("/")


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "destination": mount.target,
        "type": mount.type,
        "source": mount.source,
        "options": list(mount.options),
    }


def _without_hidden(mounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last mount at a place is the one that is wanted; the order of the others stays."""
    last = {mount["destination"]: mount for mount in mounts}
    return [mount for mount in mounts if last[mount["destination"]] is mount]


def _mounts(spec: SandboxSpec, machine: Machine) -> list[dict[str, Any]]:
    """The file systems that every container has."""
    writable = () if spec.privileged else ("ro",)
    group = () if machine.rootless else ("gid=5",)
    devpts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *group)
    shm = (*_SAFE, "mode=1777", f"size={spec.limits.shm_size}")
    found = [
        Mount("/proc", "proc", "proc", _SAFE),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount("/dev/pts", "devpts", "devpts", devpts),
        Mount("/dev/mqueue", "mqueue", "mqueue", _SAFE),
    ]
    own_network = spec.network is not NetworkMode.HOST
    if machine.rootless and not own_network:
        # Only who owns the network may mount it anew.
        found.append(Mount("/sys", "/sys", "bind", ("rbind", *_SAFE, "ro")))
    else:
        found.append(Mount("/sys", "sysfs", "sysfs", (*_SAFE, *writable)))
    if not machine.rootless:
        found.append(Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_SAFE, *writable)))
    if spec.ipc is Sharing.HOST:
        found[3] = Mount("/dev/mqueue", "/dev/mqueue")
        found.append(Mount("/dev/shm", "/dev/shm"))  # noqa: S108 - the container's, not ours
    else:
        found.append(Mount("/dev/shm", "shm", "tmpfs", shm))  # noqa: S108
    if spec.pid is Sharing.HOST and machine.rootless:
        found[0] = Mount("/proc", "/proc", "bind", ("rbind", *_SAFE))
    return [_mount(mount) for mount in found]


def _linux(name: str, spec: SandboxSpec, machine: Machine, network: str | None) -> dict[str, Any]:
    masked: Sequence[str] = MASKED_PATHS if spec.masked_paths is None else spec.masked_paths
    readonly: Sequence[str] = READONLY_PATHS if spec.readonly_paths is None else spec.readonly_paths
    if spec.privileged:
        masked = readonly = ()
    document: dict[str, Any] = {
        "namespaces": _namespaces(spec, machine, network),
        "devices": [_device(device) for device in _devices(spec)],
        "maskedPaths": list(masked),
        "readonlyPaths": list(readonly),
        "sysctl": _sysctls(spec, machine),
    }
    if not machine.rootless:
        document["cgroupsPath"] = cgroup_path(name, spec)
        document["resources"] = _resources(spec, machine)
    seccomp = _seccomp(spec, machine)
    if seccomp:
        document["seccomp"] = seccomp
    return document


def cgroup_path(name: str, spec: SandboxSpec) -> str:
    """The control group of a sandbox, from the root of each hierarchy."""
    parent = spec.cgroup_parent.strip("/") or "lamina"
    if ".." in parent.split("/"):
        raise InvalidParameter(f"invalid cgroup parent: {spec.cgroup_parent}")
    return f"/{parent}/{name}"


def _seccomp(spec: SandboxSpec, machine: Machine) -> dict[str, Any]:
    if not machine.seccomp or spec.privileged:
        return {}
    if spec.seccomp is not None:
        return dict(spec.seccomp)
    capabilities = spec.process.capabilities
    return default_profile(
        DEFAULT_CAPABILITIES if capabilities is None else capabilities, machine.architecture
    )


def _namespaces(spec: SandboxSpec, machine: Machine, network: str | None) -> list[dict[str, str]]:
    found = [{"type": "mount"}]
    shared = {"pid": spec.pid, "ipc": spec.ipc, "uts": spec.uts}
    for kind, how in shared.items():
        if isinstance(how, int):
            found.append({"type": kind, "path": f"/proc/{how}/ns/{kind}"})
        elif how is Sharing.PRIVATE:
            found.append({"type": kind})
    if spec.network is NetworkMode.CONTAINER:
        found.append({"type": "network", "path": f"/proc/{spec.network_of}/ns/net"})
    elif network is not None:
        found.append({"type": "network", "path": network})
    elif spec.network is not NetworkMode.HOST:
        found.append({"type": "network"})
    if machine.unified_cgroups and not machine.rootless:
        found.append({"type": "cgroup"})
    return found


def _sysctls(spec: SandboxSpec, machine: Machine) -> dict[str, str]:
    usual = {}
    if spec.network in {NetworkMode.NONE, NetworkMode.BRIDGE} and not machine.rootless:
        # As Docker has it since 20.10: nobody else is there whose ports could be taken.
        usual = {
            "net.ipv4.ip_unprivileged_port_start": "0",
            "net.ipv4.ping_group_range": "0 2147483647",
        }
    return {**usual, **spec.sysctls}


def _devices(spec: SandboxSpec) -> Iterable[Device]:
    if spec.privileged:
        own = {"/dev/ptmx", "/dev/console", "/dev/tty", "/dev/null", "/dev/zero", "/dev/full"}
        own |= {"/dev/random", "/dev/urandom"}
        for directory, below, files in os.walk("/dev"):
            below[:] = [d for d in below if d not in {"pts", "shm", "mqueue", "fd", ".udev"}]
            for file in sorted(files):
                path = os.path.join(directory, file)  # noqa: PTH118 - os.walk gives text
                if path not in own and _is_device(path):
                    yield Device(path, path)
    yield from spec.devices


def _is_device(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _device(device: Device) -> dict[str, Any]:
    try:
        info = Path(device.source).stat()
    except OSError:
        raise InvalidParameter(
            f'error gathering device information while adding custom device "{device.source}":'
            " no such file or directory"
        ) from None
    if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
        raise InvalidParameter(
            f'error gathering device information while adding custom device "{device.source}":'
            " not a device node"
        )
    return {
        "path": device.target,
        "type": "c" if stat.S_ISCHR(info.st_mode) else "b",
        "major": os.major(info.st_rdev),
        "minor": os.minor(info.st_rdev),
        "fileMode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
    }


def _resources(spec: SandboxSpec, machine: Machine) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    if spec.privileged:
        rules = [{"allow": True, "access": "rwm"}]
    else:
        rules += [_rule(text) for text in (*_DEVICE_RULES, *spec.device_rules)]
        for device in spec.devices:
            made = _device(device)
            numbers = {key: made[key] for key in ("type", "major", "minor")}
            rules.append({"allow": True, "access": device.access, **numbers})
    return {"devices": rules, **limit_document(spec.limits, machine)}


def limit_document(limits: Limits, machine: Machine) -> dict[str, Any]:
    """The limits of control groups, in the form in which they can also be changed."""
    memory = _given(
        limit=limits.memory,
        swap=(limits.memory_swap or (2 * limits.memory)) if machine.swap_limit else 0,
        reservation=limits.memory_reservation,
        disableOOMKiller=limits.oom_kill_disable,
    )
    if limits.memory_swappiness is not None:
        memory["swappiness"] = limits.memory_swappiness
    document = {
        "memory": memory,
        "cpu": _given(
            shares=limits.cpu_shares,
            period=limits.cpu_period,
            quota=limits.cpu_quota,
            cpus=limits.cpuset_cpus,
            mems=limits.cpuset_mems,
        ),
        "blockIO": _given(weight=limits.blkio_weight),
        "pids": _given(limit=limits.pids),
    }
    return {key: value for key, value in document.items() if value}


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value}


def _rule(text: str) -> dict[str, Any]:
    """A rule of the devices controller, as in ``c 1:3 rwm``. InvalidParameter."""
    try:
        kind, numbers, access = text.split()
        major, minor = numbers.split(":")
        rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
        for key, number in (("major", major), ("minor", minor)):
            if number != "*":
                rule[key] = int(number)
    except ValueError:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'") from None
    if kind not in {"a", "b", "c"} or not access or set(access) - set("rwm"):
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    return rule
