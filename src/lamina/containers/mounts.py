"""What is mounted into a container beside its root: directories of the host, volumes, tmpfs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from lamina.containers.asked_mounts import (
    AT_ROOT,
    PROPAGATIONS,
    check_mount,
    check_source,
    is_mode,
    mount_of_text,
    must_exist,
    tmpfs_target,
)
from lamina.containers.volumes import Volumes, new_volume_name
from lamina.dockerfile.gostrings import clean
from lamina.errors import InvalidParameter, StartFailed
from lamina.models import BindOptions, HostConfig, Mount as AskedMount, MountPoint, VolumeOptions
from lamina.runtime.spec import Mount

__all__ = [
    "NewVolume",
    "check_sources",
    "make_sources",
    "mount_points",
    "runtime_mounts",
    "shown_mounts",
    "volumes_from",
]

_NOT_OF_OTHERS: Final = PROPAGATIONS | {"nocopy"}
"""What cannot be said of the mounts of another container."""
_SHARED: Final = "z"
"""What dockerd assumes of a volume that is asked for without a mode."""
_NOT_STARTED: Final = 128
"""The exit status of what was not even tried to be started."""

_TMPFS_DEFAULTS: Final = ("noexec", "nosuid", "nodev")
_OPPOSITES: Final = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
_TMPFS_FLAGS: Final = (
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime"
    " diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave"
    " rslave relatime norelatime strictatime nostrictatime"
)
_TMPFS_DATA: Final = frozenset(("", "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A volume that is to be made for a container."""

    name: str
    target: str
    """Where it is mounted."""
    is_filled: bool = True
    """Whether it begins with what the image has in its place."""


def volumes_from(host: HostConfig) -> list[tuple[str, bool]]:
    """The containers whose mounts are to be had, and whether they may be written.

    InvalidParameter.
    """
    found = []
    for text in host.volumes_from or ():
        name, _, mode = text.partition(":")
        if not text:
            raise InvalidParameter("volumes-from specification cannot be an empty string")
        if not is_mode(mode) or _NOT_OF_OTHERS.intersection(mode.split(",")):
            raise InvalidParameter(f"invalid mode: {mode}")
        if not name:
            raise InvalidParameter('invalid name or ID supplied: ""')
        found.append((name, "ro" not in mode.split(",")))
    return found


def mount_points(
    host: HostConfig,
    declared: Iterable[str],
    volumes: Volumes,
    *,
    inherited: Iterable[tuple[Sequence[MountPoint], bool]] = (),
) -> tuple[list[MountPoint], list[NewVolume]]:
    """All mounts but those of tmpfs, and the volumes that are to be made for them.

    `declared` are the places where the image or the caller wants a volume; `inherited` are the
    mounts of the containers that `volumes_from` gives. Looks for sources, and makes nothing.
    Raises InvalidParameter, NotFound (a driver), NotImplementedHere (named volumes).
    """
    found: dict[str, MountPoint] = {}
    new: list[NewVolume] = []

    def volume(target: str, *, is_filled: bool = True, mode: str = "") -> MountPoint:
        made = NewVolume(new_volume_name(), target, is_filled)
        new.append(made)
        return MountPoint(
            type="volume",
            name=made.name,
            source=str(volumes.data(made.name)),
            destination=target,
            driver="local",
            mode=mode,
            rw="ro" not in mode.split(","),
        )

    for points, writable in inherited:
        for point in points:
            found[point.destination] = msgspec.structs.replace(
                point, mode="", rw=point.rw and writable
            )
    tmpfs = {tmpfs_target(path) for path in host.tmpfs or ()}
    taken: set[str] = set()
    asked = [*map(mount_of_text, host.binds or ()), *((mount, None) for mount in host.mounts or ())]
    for mount, mode in asked:
        if mode is None:
            check_mount(mount)
        target = clean(mount.target)
        if target in taken or (mode is not None and target in tmpfs):
            at = mount.target if mode is None else target
            raise InvalidParameter(f"Duplicate mount point: {at}")
        taken.add(target)
        if mount.type == "bind":
            found[target] = _bind(mount, mode or "")
        elif mount.type == "volume":
            options = mount.volume_options or VolumeOptions()
            found[target] = volume(target, is_filled=not options.no_copy, mode=mode or _SHARED)
        else:
            tmpfs.add(target)
            found.pop(target, None)
    for path in declared:
        target = clean(f"/{path}")
        if target == "/":
            raise InvalidParameter(AT_ROOT)
        if target not in found and target not in tmpfs:
            found[target] = volume(target)
    return list(found.values()), new


def shown_mounts(host: HostConfig, points: Iterable[MountPoint]) -> list[MountPoint]:
    """The mounts as they are told of: those of tmpfs too that were asked for as mounts."""
    tmpfs = (mount for mount in host.mounts or () if mount.type == "tmpfs")
    return [
        *points,
        *(
            MountPoint(type="tmpfs", destination=clean(mount.target), rw=not mount.read_only)
            for mount in tmpfs
        ),
    ]


def _bind(mount: AskedMount, mode: str) -> MountPoint:
    return MountPoint(
        type="bind",
        source=clean(mount.source),
        destination=clean(mount.target),
        mode=mode,
        rw=not mount.read_only,
        propagation=(mount.bind_options or BindOptions()).propagation or "rprivate",
    )


# When it is started.


def check_sources(host: HostConfig) -> None:
    """InvalidParameter for a source that was there, and is no more."""
    for mount in host.mounts or ():
        check_source(mount)


def make_sources(host: HostConfig, points: Iterable[MountPoint]) -> None:
    """Make the directories of the host that are mounted, where they may be missing. StartFailed."""
    found = {clean(mount.target) for mount in host.mounts or () if must_exist(mount)}
    for point in points:
        if point.type == "bind" and point.destination not in found:
            try:
                Path(point.source).mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                continue  # a file is mounted, or the OCI runtime tells why not
            except (OSError, ValueError) as error:
                raise _no_source(point.source, error) from error


def _no_source(source: str, error: OSError | ValueError) -> StartFailed:
    path, why = source, "invalid argument"
    if isinstance(error, OSError):
        path, why = str(error.filename), str(error.strerror).lower()
    return StartFailed(
        f"error while creating mount source path '{source}': mkdir {path}: {why}", _NOT_STARTED
    )


def runtime_mounts(host: HostConfig, points: Iterable[MountPoint]) -> list[Mount]:
    """The mounts as the OCI runtime takes them. InvalidParameter (options of a tmpfs)."""
    asked = {clean(mount.target): mount for mount in host.mounts or ()}
    found = []
    for point in points:
        mount = asked.get(point.destination)
        alone = mount is not None and (mount.bind_options or BindOptions()).non_recursive
        propagation = point.propagation or "rprivate"
        options = ("bind" if alone else "rbind", propagation, "rw" if point.rw else "ro")
        found.append(Mount(point.destination, point.source, "bind", options))
    for path, text in (host.tmpfs or {}).items():
        found.append(_tmpfs(clean(path), _tmpfs_options(text)))
    for mount in host.mounts or ():
        if mount.type == "tmpfs":
            of_it = mount.tmpfs_options
            options_of_it = []
            if of_it is not None and of_it.size_bytes:
                options_of_it.append(f"size={of_it.size_bytes}")
            if of_it is not None and of_it.mode:
                options_of_it.append(f"mode={of_it.mode:o}")
            if mount.read_only:
                options_of_it.append("ro")
            found.append(_tmpfs(clean(mount.target), options_of_it))
    return found


def _tmpfs_options(text: str) -> list[str]:
    options = [option for option in text.split(",") if option not in {"", "defaults"}]
    for option in options:
        name, given, value = option.partition("=")
        if option not in _TMPFS_FLAGS.split() and not (given and name in _TMPFS_DATA):
            words = f'"{name}" "{value}"' if given else f'"{name}"'
            raise InvalidParameter(f"invalid tmpfs option [{words}]")
    return options


def _tmpfs(target: str, options: Sequence[str]) -> Mount:
    given = set(options)
    usual = [option for option in _TMPFS_DEFAULTS if not given & {_positive(option), option}]
    return Mount(target, "tmpfs", "tmpfs", (*usual, *options))


def _positive(option: str) -> str:
    opposites: Mapping[str, str] = {no: yes for yes, no in _OPPOSITES.items()}
    return opposites[option]
