"""Changing what a container is called, and what it may use."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from lamina.containers.containers import Containers
from lamina.containers.happenings import container_event
from lamina.containers.names import check_name
from lamina.containers.resources import check_update
from lamina.containers.sandboxing import container_limits
from lamina.containers.settings import UNWEIGHED, check_policy
from lamina.containers.stored import settings_of, with_settings
from lamina.errors import Conflict, InvalidParameter, LaminaError, Unavailable
from lamina.models import HostConfig, RestartPolicy
from lamina.records.changes import PutContainer
from lamina.records.records import Transaction

__all__ = ["rename_container", "resize_container", "update_container"]

_CHANGEABLE: Final = (
    "blkio_weight", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems", "memory",
    "memory_reservation", "memory_swap", "nano_cpus", "pids_limit", "restart_policy",
)  # fmt: skip


async def rename_container(containers: Containers, name: str, new: str) -> None:
    """Give it another name. InvalidParameter, Conflict."""
    container = containers.find(name)
    if not new:
        raise InvalidParameter("Neither old nor new names may be empty")
    try:
        new = check_name(f"/{new.removeprefix('/')}")
    except InvalidParameter as error:
        raise InvalidParameter(f"Error when allocating new name: {error}") from error
    if new == container.name:
        raise InvalidParameter("Renaming a container with the same name as its current name")
    now = containers.now()

    def rename(transaction: Transaction) -> None:
        known = transaction.catalogue
        if (other := known.container_names.get(new)) is not None:
            raise Conflict(
                "Error when allocating new name: Conflict. The container name"
                f' "/{new}" is already in use by container "{other}". You have to remove (or'
                " rename) that container to be able to reuse that name."
            )
        renamed = replace(known.containers[container.id], name=new)
        transaction.do(PutContainer(renamed))
        transaction.do(container_event(renamed, "rename", now, oldName=f"/{container.name}"))

    async with containers.live(container).lock:
        containers.current(container)
        await containers.records.change(rename)


async def resize_container(containers: Containers, name: str, height: int, width: int) -> None:
    """Tell its terminal a size. Conflict."""
    container = containers.find(name)
    containers.sandbox(container).resize(height, width)
    await containers.tell(container, "resize", height=str(height), width=str(width))


async def update_container(containers: Containers, name: str, resources: HostConfig) -> list[str]:
    """Change limits and the restart policy; returns warnings.

    InvalidParameter, Conflict, LaminaError (the kernel does not take them).
    """
    container = containers.find(name)
    live = containers.live(container)
    warnings = []
    if resources.blkio_weight and not (await containers.workshop.runtime()).machine.weighs_io:
        warnings.append(UNWEIGHED)
        resources = msgspec.structs.replace(resources, blkio_weight=0)
    async with live.lock:
        container = containers.current(container)
        settings = settings_of(container)
        check_policy(resources)
        # Not together with those that hold: what does not go with them, the OCI runtime refuses.
        check_update(container.id, settings.host_config, resources)
        changes: dict[str, Any] = {}
        for field in _CHANGEABLE:
            value = getattr(resources, field)
            if value and value != RestartPolicy():
                changes[field] = value
        host = msgspec.structs.replace(settings.host_config, **changes)
        limits = container_limits(host)
        if live.sandbox is not None:
            try:
                await live.sandbox.update(limits)
            except Unavailable as error:
                raise LaminaError(f"Cannot update container {container.id}: {error}") from error
        settings = msgspec.structs.replace(settings, host_config=host)
        await containers.put(with_settings(container, settings), "update")
    return warnings
