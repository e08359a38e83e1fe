"""A container comes to be: from an image and what is asked for."""

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamina.containers.containers import Containers
from lamina.containers.happenings import container_event
from lamina.containers.locating import ownership_of
from lamina.containers.mounts import NewVolume, mount_points, volumes_from
from lamina.containers.names import check_name, new_name
from lamina.containers.sandboxing import container_limits
from lamina.containers.settings import Settings, State, complete, wants_network, warnings_about
from lamina.containers.stored import encoded, settings_of
from lamina.errors import Conflict, ContainerNotFound, ImageNotFound, InvalidParameter
from lamina.layers.directories import OPEN_DIRECTORY, Directories, Directory
from lamina.layers.ownership import Ownership
from lamina.models import HostConfig, MountPoint
from lamina.oci.containerconfig import ContainerConfig
from lamina.oci.platform import Platform
from lamina.records.catalogue import Image
from lamina.records.changes import PutContainer
from lamina.records.containers import Container
from lamina.records.lookup import find_image
from lamina.records.records import Transaction
from lamina.snapshots.native import copy_directory
from lamina.snapshots.stopping import Stop

__all__ = ["Beginning", "create_container", "make_container", "make_directory"]

Happened = Sequence[tuple[int, str, Mapping[str, str]]]
"""Events: unix nanoseconds, an action, and attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A container that is to be."""

    id: str
    """64 hexadecimal digits."""
    name: str = ""
    """Empty: one is made up."""
    image: Image | None
    """None where there is nothing below its files."""
    config: ContainerConfig
    host: HostConfig
    created: int
    """Unix nanoseconds."""
    snapshot: str = ""
    """The key of a root filesystem that it already has."""
    status: str = "created"
    state: State = field(default_factory=State)
    happened: Happened = ()
    """What has become of it since it was created."""


async def create_container(
    containers: Containers,
    config: ContainerConfig,
    host: HostConfig,
    *,
    name: str,
    platform: Platform | None,
) -> tuple[Container, list[str]]:
    """Make a container; also what the caller should be warned about.

    Raises ImageNotFound, InvalidParameter, Conflict (the name), NotFound (a network).
    """
    records, workshop = containers.records, containers.workshop
    catalogue = records.catalogue
    if name:
        name = check_name(name)
        _check_free(catalogue.container_names, name)
    # Without a name there is nothing below its files, as with dockerd.
    image = find_image(catalogue, config.image) if config.image else None
    if platform is not None and image is not None and not platform.matches(image.platform):
        raise ImageNotFound(
            config.image,
            f"image with reference {config.image} was found but does not match the specified"
            f" platform: wanted {platform}, actual: {image.platform}",
        )
    runtime = await workshop.runtime()
    beginning = Beginning(
        id=secrets.token_hex(32),
        name=name,
        image=image,
        config=config,
        host=host,
        created=containers.now(),
    )
    container = await records.finish(make_container(containers, beginning))
    networks = await workshop.networks()
    no_network = await records.finish(networks.lacking()) if wants_network(host) else ""
    return container, warnings_about(host, runtime.machine, no_network=no_network)


async def make_container(containers: Containers, beginning: Beginning) -> Container:
    """Make a container, with its files and its record. As `create_container` raises."""
    workshop, image = containers.workshop, beginning.image
    runtime = await workshop.runtime()
    inherited = None
    if image is not None:
        inherited = (await containers.parts.configs.get(image.id)).config
    config, host = complete(
        beginning.config,
        inherited,
        beginning.host,
        id=beginning.id,
        machine=runtime.machine,
        runtime=runtime.name,
    )
    container_limits(host)
    others = [(_mounts_of(containers, name), writable) for name, writable in volumes_from(host)]
    points, new = await asyncio.to_thread(
        lambda: mount_points(host, config.volumes or (), containers.volumes, inherited=others)
    )
    container = Container(
        id=beginning.id,
        name=beginning.name,
        image_id=None if image is None else image.id,
        created=beginning.created,
        status=beginning.status,
        process="",
        snapshot=beginning.snapshot or workshop.key(),
        diff_ids=() if image is None else image.diff_ids,
        labels=config.labels or {},
        settings=encoded(
            Settings(
                image=config.image,
                config=config,
                host_config=host,
                mounts=tuple(points),
                anonymous=tuple(volume.name for volume in new),
            )
        ),
        state=encoded(beginning.state),
    )
    try:
        await _make_files(containers, container, new, is_new=not beginning.snapshot)
        return await containers.records.change(
            lambda transaction: _record(transaction, container, beginning.happened)
        )
    except BaseException:
        await containers.records.finish(_unmake(containers, container, new))
        raise


def _mounts_of(containers: Containers, name: str) -> tuple[MountPoint, ...]:
    """The mounts of a container that another shall have, too. InvalidParameter."""
    try:
        return settings_of(containers.find(name)).mounts
    except ContainerNotFound as error:
        raise InvalidParameter(str(error)) from error


def _check_free(names: Mapping[str, str], name: str) -> None:
    if name in names:
        raise Conflict(
            f'Conflict. The container name "/{name}" is already in use by container'
            f' "{names[name]}". You have to remove (or rename) that container to be able to reuse'
            " that name."
        )


def _record(transaction: Transaction, container: Container, happened: Happened) -> Container:
    """Record it, under a name that is made up if it has none. Conflict (its name or its ID)."""
    names = transaction.catalogue.container_names
    if container.id in transaction.catalogue.containers:
        # Of steps of builds with a given time, that are at it side by side.
        raise Conflict(f"container {container.id} is there already")
    if container.name:
        _check_free(names, container.name)
    else:
        container = replace(container, name=new_name(names))
    image_id = container.image_id
    if image_id is not None and image_id not in transaction.catalogue.images:
        raise ImageNotFound(settings_of(container).image)
    transaction.do(PutContainer(container))
    transaction.do(container_event(container, "create", container.created))
    for time, action, attributes in happened:
        transaction.do(container_event(container, action, time, **attributes))
    return container


async def _make_files(
    containers: Containers,
    container: Container,
    volumes: Sequence[NewVolume],
    *,
    is_new: bool,
) -> None:
    """The container's root filesystem, if it has none, and what its volumes begin with."""
    workshop = containers.workshop
    if is_new:
        layers = workshop.layers(container.diff_ids, containers.records.catalogue)
        mounted = await workshop.create(container.snapshot, layers)
    else:
        mounted = await containers.mount(container)
    snapshots = await workshop.snapshots()
    if working_dir := settings_of(container).config.working_dir:
        await asyncio.to_thread(make_directory, mounted.path, working_dir)
    ownership = await ownership_of(containers)
    for volume in volumes:
        await asyncio.to_thread(containers.volumes.make, volume.name)
        if volume.is_filled:
            data = containers.volumes.data(volume.name)
            await asyncio.to_thread(_fill, data, mounted.path, volume.target, ownership)
    # Who is killed shall leave no mount of a container that does not run.
    await snapshots.unmount(container.snapshot)


def make_directory(rootfs: Path, path: str) -> None:
    """Make a directory, where there is none, as dockerd does. InvalidParameter."""

    def make(parent: Directory, name: str, there: bool) -> None:  # noqa: FBT001
        if there:
            raise InvalidParameter(f"Cannot mkdir: {path} is not a directory")
        os.mkdir(name, dir_fd=parent.fd)
        made = os.open(name, OPEN_DIRECTORY, dir_fd=parent.fd)
        try:
            os.fchmod(made, 0o755)
        finally:
            os.close(made)

    root = os.open(rootfs, OPEN_DIRECTORY)
    directories = Directories(root, make=make)
    try:
        directories.get(path.lstrip("/"))
    finally:
        directories.abandon()
        os.close(root)


def _fill(volume: Path, rootfs: Path, path: str, ownership: Ownership) -> None:
    """Begin a volume with what the image has in its place, as dockerd does. InvalidParameter."""
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    directories = Directories(root)
    try:
        there = directories.get(path.lstrip("/"))
        copy_directory(there.fd, volume, ownership, Stop())
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise InvalidParameter(
            f"cannot mount volume over existing file, file exists {path}"
        ) from None
    finally:
        directories.abandon()
        os.close(root)


async def _unmake(
    containers: Containers, container: Container, volumes: Sequence[NewVolume]
) -> None:
    """Remove what was made for a container that does not come to be."""
    snapshots = await containers.workshop.snapshots()
    if container.snapshot in await snapshots.keys():
        await containers.workshop.remove(container.snapshot)
    for volume in volumes:
        await asyncio.to_thread(containers.volumes.remove, volume.name)
