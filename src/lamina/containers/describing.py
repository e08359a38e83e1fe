"""A container in words: what it is, and what has become of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from lamina.containers.live import HealthState
from lamina.containers.mounts import shown_mounts
from lamina.containers.networking import endpoints, exposed_ports, network_settings
from lamina.containers.settings import State
from lamina.containers.stored import settings_of, state_of
from lamina.models import (
    ContainerInspect,
    ContainerState,
    ContainerSummary,
    GraphDriverData,
    Port,
    SummaryHostConfig,
    SummaryNetworks,
)
from lamina.oci.timestamp import ZERO, format_unix
from lamina.records.catalogue import Catalogue
from lamina.records.containers import Container
from lamina.records.lookup import is_id_of
from lamina.units import human_duration

__all__ = ["inspect_container", "shown_image", "status_text", "summarize"]

_SECOND: Final = 1_000_000_000
_PORT: Final = re.compile(r"(\d{1,5})(?:/(\w+))?", re.ASCII)
_LAST_PORT: Final = 65_535


def inspect_container(
    container: Container,
    *,
    engine_id: str,
    bundle: Path | None,
    log: Path,
    driver: str,
    execs: list[str],
    health: HealthState | None,
) -> ContainerInspect:
    """Everything known about a container, but for sizes; `bundle` is there while it runs."""
    settings = settings_of(container)
    argv = settings.argv
    return ContainerInspect(
        id=container.id,
        created=format_unix(container.created),
        path=argv[0] if argv else "",
        args=list(argv[1:]),
        state=_state(container, health),
        image=_image_id(container),
        resolv_conf_path=str(bundle / "resolv.conf") if bundle else "",
        hostname_path=str(bundle / "hostname") if bundle else "",
        hosts_path=str(bundle / "hosts") if bundle else "",
        log_path=str(log) if settings.host_config.log_config.type != "none" else "",
        name=f"/{container.name}",
        restart_count=state_of(container).restarts,
        driver=driver,
        exec_ids=execs or None,
        host_config=settings.host_config,
        graph_driver=GraphDriverData(name=driver),
        mounts=shown_mounts(settings.host_config, settings.mounts),
        config=settings.config,
        network_settings=network_settings(container, engine_id),
    )


def _state(container: Container, health: HealthState | None) -> ContainerState:
    state = state_of(container)
    return ContainerState(
        status=container.status,
        running=container.is_running,
        paused=container.status == "paused",
        restarting=container.status == "restarting",
        oom_killed=state.oom_killed,
        dead=container.status == "dead",
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=format_unix(state.started) if state.started else ZERO,
        finished_at=format_unix(state.finished) if state.finished else ZERO,
        health=msgspec.UNSET if health is None else health.model(),
    )


def summarize(
    catalogue: Catalogue,
    container: Container,
    now: int,
    health: HealthState | None,
    *,
    engine_id: str,
) -> ContainerSummary:
    """One row of a list."""
    settings = settings_of(container)
    return ContainerSummary(
        id=container.id,
        names=[f"/{container.name}"],
        image=shown_image(catalogue, container),
        image_id=_image_id(container),
        command=" ".join(_quoted(word) for word in settings.argv),
        created=container.created // 1_000_000_000,
        ports=list(_ports(container)),
        labels=dict(container.labels),
        state=container.status,
        status=status_text(container, now, health),
        host_config=SummaryHostConfig(network_mode=settings.host_config.network_mode),
        network_settings=SummaryNetworks(networks=endpoints(container, engine_id)),
        mounts=shown_mounts(settings.host_config, settings.mounts),
    )


def _ports(container: Container) -> Iterator[Port]:
    for text in exposed_ports(container):
        match = _PORT.fullmatch(text)
        if match is not None and int(match[1]) <= _LAST_PORT:
            yield Port(private_port=int(match[1]), type=match[2] or "tcp")


def _image_id(container: Container) -> str:
    return "" if container.image_id is None else str(container.image_id)


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word else word


def shown_image(catalogue: Catalogue, container: Container) -> str:
    """The name that it was made by, as long as that still leads to its image; else the ID."""
    if container.image_id is None:
        return ""
    name = settings_of(container).image
    if is_id_of(container.image_id, name):
        return name
    names = catalogue.names(container.image_id)
    wanted = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
    if any(known.familiar == wanted or str(known) == wanted for known in names):
        return name
    return str(container.image_id)


def status_text(container: Container, now: int, health: HealthState | None = None) -> str:
    """What ``docker ps`` shows: ``Up 5 minutes``, ``Exited (0) 2 hours ago``."""
    state: State = state_of(container)
    if container.has_process:
        more = " (Paused)" if container.status == "paused" else ""
        if health is not None and not more:
            more = " (health: starting)" if health.status == "starting" else f" ({health.status})"
        return f"Up {human_duration((now - state.started) / _SECOND)}{more}"
    if container.status == "created":
        return "Created"
    if container.status == "removing":
        return "Removal In Progress"
    if container.status == "dead":
        return "Dead"
    if not state.finished:
        return ""
    word = "Restarting" if container.status == "restarting" else "Exited"
    return f"{word} ({state.exit_code}) {human_duration((now - state.finished) / _SECOND)} ago"


def with_sizes(summary: ContainerSummary, written: int, image: int) -> ContainerSummary:
    """The row with the bytes that the container has written, and those of all its files."""
    return msgspec.structs.replace(summary, size_rw=written, size_root_fs=written + image)
