"""What the engine tells about itself: `/info`, `/version` and `/system/df`."""

import ipaddress
import os
import platform as host_platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamina import __version__
from lamina.engine.listing import list_images
from lamina.models import (
    BuildCache,
    ContainerSummary,
    PlatformName,
    SystemDataUsage,
    SystemInfo,
    SystemVersion,
    VersionComponent,
    Volume,
)
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform
from lamina.oci.timestamp import format_unix
from lamina.records.catalogue import Catalogue
from lamina.registry.hosts import DOCKER_HUB, HostRules
from lamina.runtime.workshop import WorkshopFacts

API_VERSION = "1.44"
"""The newest version of the Engine API that is spoken."""
MIN_API_VERSION = "1.12"

_NO_NETWORK: Final = (
    "WARNING: No program for container networks works: containers reach nothing, unless they have"
    " the network mode host. Install slirp4netns."
)


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the machine, read once."""

    name: str
    operating_system: str
    os_version: str
    kernel_version: str
    machine: str
    cpus: int
    memory: int
    """Bytes."""

    @classmethod
    def read(cls) -> "Host":
        """Ask the operating system."""
        try:
            release = host_platform.freedesktop_os_release()
        except OSError:
            release = {}
        return cls(
            name=host_platform.node(),
            operating_system=release.get("PRETTY_NAME", host_platform.system()),
            os_version=release.get("VERSION_ID", ""),
            kernel_version=host_platform.release(),
            machine=host_platform.machine(),
            cpus=len(os.sched_getaffinity(0)),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        )


def system_version(host: Host, platform: Platform) -> SystemVersion:
    """The versions of the engine and of the API it speaks."""
    python = host_platform.python_version()
    details = {
        "ApiVersion": API_VERSION,
        "Arch": platform.architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": host.kernel_version,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": platform.os,
        "PythonVersion": python,
    }
    return SystemVersion(
        platform=PlatformName(name="Lamina"),
        components=[VersionComponent(name="Engine", version=__version__, details=details)],
        version=__version__,
        api_version=API_VERSION,
        min_api_version=MIN_API_VERSION,
        os=platform.os,
        arch=platform.architecture,
        kernel_version=host.kernel_version,
    )


def system_info(
    host: Host,
    catalogue: Catalogue,
    *,
    engine_id: str,
    root: Path,
    registries: HostRules,
    now: int,
    facts: WorkshopFacts,
) -> SystemInfo:
    """Configuration and counts."""
    statuses = Counter(container.status for container in catalogue.containers.values())
    has_cgroups = not facts.machine.rootless
    return SystemInfo(
        id=engine_id,
        containers=len(catalogue.containers),
        containers_running=statuses["running"],
        containers_paused=statuses["paused"],
        containers_stopped=len(catalogue.containers) - statuses["running"] - statuses["paused"],
        images=len(catalogue.images),
        driver=facts.driver,
        driver_status=[[name, value] for name, value in facts.driver_details.items()],
        memory_limit=has_cgroups,
        swap_limit=has_cgroups and facts.machine.swap_limit,
        cpu_cfs_period=has_cgroups,
        cpu_cfs_quota=has_cgroups,
        cpu_shares=has_cgroups,
        cpu_set=has_cgroups,
        pids_limit=has_cgroups,
        oom_kill_disable=has_cgroups and not facts.machine.unified_cgroups,
        cgroup_driver="cgroupfs" if has_cgroups else "none",
        cgroup_version="2" if facts.machine.unified_cgroups else "1",
        default_runtime=next(iter(facts.runtimes), ""),
        init_binary="docker-init" if facts.init is not None else "",
        security_options=["name=seccomp,profile=default"] if facts.machine.seccomp else [],
        plugins={
            "Volume": ["local"],
            "Network": [facts.network] if facts.network else [],
            "Authorization": None,
            "Log": ["json-file"],
        },
        warnings=None if facts.network else [_NO_NETWORK],
        nfd=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        system_time=format_unix(now),
        kernel_version=host.kernel_version,
        operating_system=host.operating_system,
        os_version=host.os_version,
        architecture=host.machine,
        registry_config=_registry_config(registries),
        ncpu=host.cpus,
        mem_total=host.memory,
        docker_root_dir=str(root),
        name=host.name,
        server_version=__version__,
        runtimes={name: {"path": path} for name, path in facts.runtimes.items()},
        swarm={
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
    )


def _layers_size(catalogue: Catalogue) -> int:
    """Bytes of all layers, each counted on every stack of layers it lies on, as dockerd does it."""
    chains = {
        chain_id: diff_id
        for image in catalogue.images.values()
        for chain_id, diff_id in zip(image.chain_ids, image.diff_ids, strict=True)
    }
    return sum(catalogue.layers[diff_id].size for diff_id in chains.values())


def _registry_config(rules: HostRules) -> dict[str, Any]:
    """How registries are reached, in the form that dockerd has for it."""
    networks = ["127.0.0.0/8", *(entry for entry in rules.insecure if _is_network(entry))]
    hosts = [entry for entry in rules.insecure if not _is_network(entry)]
    mirrors = [f"{url.rstrip('/')}/" for url in rules.mirrors.get(DOCKER_HUB, ())]
    indexes: dict[str, Any] = {
        host: {"Name": host, "Mirrors": [], "Secure": False, "Official": False} for host in hosts
    }
    indexes[DOCKER_HUB] = {"Name": DOCKER_HUB, "Mirrors": mirrors, "Secure": True, "Official": True}
    return {
        "AllowNondistributableArtifactsCIDRs": [],
        "AllowNondistributableArtifactsHostnames": [],
        "InsecureRegistryCIDRs": networks,
        "IndexConfigs": dict(sorted(indexes.items())),
        "Mirrors": mirrors,
    }


def _is_network(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def data_usage(
    catalogue: Catalogue,
    *,
    types: frozenset[str],
    build_cache: list[BuildCache],
    containers: list[ContainerSummary],
    volumes: list[Volume],
    now: int,
) -> SystemDataUsage:
    """Disk use; sizes are those of unpacked layers, as dockerd reports them."""
    usage = SystemDataUsage()
    if not types or "image" in types:
        usage.layers_size = _layers_size(catalogue)
        usage.images = list_images(
            catalogue, all_images=False, filters=None, shared_size=True, now=now
        )
        for summary in usage.images:
            summary.containers = len(catalogue.containers_of(Digest.parse(summary.id)))
    if not types or "container" in types:
        usage.containers = containers
    if not types or "volume" in types:
        usage.volumes = volumes
    if not types or "build-cache" in types:
        usage.build_cache = build_cache
    return usage
