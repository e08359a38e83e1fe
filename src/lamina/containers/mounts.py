"""What is mounted into a container beside its root: directories of the host, volumes, tmpfs."""

import posixpath
import secrets
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from lamina.containers.settings import refuse_named_volume
from lamina.errors import InvalidParameter
from lamina.models import HostConfig, Mount as AskedMount, MountPoint
from lamina.runtime.spec import Mount
from lamina.runtime.sweeping import discard

__all__ = ["Volumes", "mount_points", "runtime_mounts"]

_PROPAGATIONS: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_TMPFS_DEFAULTS: Final = ("noexec", "nosuid", "nodev")
_OPPOSITES: Final = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
_TMPFS_FLAGS: Final = (
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime"
    " diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave"
    " rslave relatime norelatime strictatime nostrictatime"
)
_TMPFS_DATA: Final = frozenset(("", "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


class Volumes:
    """The anonymous volumes below a directory: each one of its own, with ``_data`` in it.

    ``process`` beside that names the process that made it, whose record of it may still be to come.
    """

    def __init__(self, root: Path, process: str) -> None:
        self.root: Final = root
        self._process = process

    def data(self, name: str) -> Path:
        """Where a volume's files are."""
        return self.root / name / "_data"

    def make(self) -> str:
        """A new, empty volume's name."""
        name = secrets.token_hex(32)
        (self.root / name).mkdir(mode=0o701, parents=True)
        (self.root / name / "process").write_text(self._process)
        self.data(name).mkdir()
        return name

    def remove(self, name: str) -> None:
        """Remove a volume, if it is there."""
        discard(self.root, name)

    def sweep(self, *, used: Container[str], living: Container[str]) -> None:
        """Remove those that nobody uses, but what a living process has just made."""
        if not self.root.is_dir():
            return
        for path in list(self.root.iterdir()):
            try:
                process = (path / "process").read_text()
            except OSError:
                process = ""
            if path.name not in used and process not in living:
                discard(self.root, path.name)


def mount_points(
    host: HostConfig,
    declared: Iterable[str],
    volumes: Volumes,
    *,
    others: Mapping[str, Sequence[MountPoint]],
) -> tuple[list[MountPoint], list[str]]:
    """All mounts but those of tmpfs, and the names of the volumes made for them.

    `declared` are the places where the image or the caller wants a volume; `others` gives the
    mounts of other containers by name. Raises InvalidParameter, NotImplementedHere (named volumes).
    """
    found: dict[str, MountPoint] = {}
    made: list[str] = []

    def volume(target: str, *, writable: bool = True) -> MountPoint:
        name = volumes.make()
        made.append(name)
        return MountPoint(
            type="volume",
            name=name,
            source=str(volumes.data(name)),
            destination=target,
            driver="local",
            rw=writable,
        )

    for text in host.volumes_from or ():
        other, _, mode = text.partition(":")
        for point in others[other]:
            writable = point.rw and "ro" not in mode.split(",")
            found[point.destination] = msgspec.structs.replace(point, rw=writable)
    for text in host.binds or ():
        point = _bind(text) if ":" in text else volume(_anonymous(text))
        found[point.destination] = point
    for mount in host.mounts or ():
        if mount.type == "bind":
            point = _asked_bind(mount)
        elif mount.type == "volume":
            if mount.source:
                raise refuse_named_volume(mount.source)
            point = volume(_target(mount.target), writable=not mount.read_only)
        elif mount.type == "tmpfs":
            continue
        else:
            raise InvalidParameter(
                f'invalid mount config for type "{mount.type}": mount type unknown'
            )
        found[point.destination] = point
    tmpfs = {_target(path) for path in (host.tmpfs or {})}
    tmpfs |= {_target(mount.target) for mount in host.mounts or () if mount.type == "tmpfs"}
    for path in declared:
        target = _target(path)
        if target not in found and target not in tmpfs:
            found[target] = volume(target)
    return list(found.values()), made


def _bind(text: str) -> MountPoint:
    """What ``-v`` says: ``SOURCE:TARGET[:OPTIONS]``. A source that is missing is made."""
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(parts[:2]):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    source, target = parts[:2]
    options = parts[2].split(",") if len(parts) == 3 else []
    if not source.startswith("/"):
        raise refuse_named_volume(source)
    known = {"ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated"} | _PROPAGATIONS
    if set(options) - known:
        raise InvalidParameter(f"invalid mode: {parts[2]}")
    source = posixpath.normpath(source)
    path = Path(source)
    if not path.exists():
        path.mkdir(parents=True)
    propagation = next((option for option in options if option in _PROPAGATIONS), "rprivate")
    return MountPoint(
        type="bind",
        source=source,
        destination=_target(target),
        mode=",".join(options),
        rw="ro" not in options,
        propagation=propagation,
    )


def _anonymous(target: str) -> str:
    """Where a volume without a name is asked for among the binds."""
    if not target.startswith("/"):
        raise InvalidParameter(
            f"invalid volume specification: '{target}': invalid mount config for type \"volume\":"
            f" invalid mount path: '{target}' mount path must be absolute"
        )
    return _target(target)


def _asked_bind(mount: AskedMount) -> MountPoint:
    if not mount.source.startswith("/"):
        raise InvalidParameter(
            f"invalid mount config for type \"bind\": invalid mount path: '{mount.source}'"
            " mount path must be absolute"
        )
    options = mount.bind_options
    if not Path(mount.source).exists():
        if options is None or not options.create_mountpoint:
            raise InvalidParameter(
                'invalid mount config for type "bind": bind source path does not exist:'
                f" {mount.source}"
            )
        Path(mount.source).mkdir(parents=True)
    propagation = (options.propagation if options is not None else "") or "rprivate"
    if propagation not in _PROPAGATIONS:
        raise InvalidParameter(f"invalid propagation mode: {propagation}")
    return MountPoint(
        type="bind",
        source=posixpath.normpath(mount.source),
        destination=_target(mount.target),
        rw=not mount.read_only,
        propagation=propagation,
    )


def _target(path: str) -> str:
    target = posixpath.normpath(path)
    if not target.startswith("/"):
        raise InvalidParameter(
            f"invalid mount config: invalid mount path: '{path}' mount path must be absolute"
        )
    if target == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'")
    return target


def runtime_mounts(host: HostConfig, points: Iterable[MountPoint]) -> list[Mount]:
    """The mounts as the OCI runtime takes them. InvalidParameter (options of a tmpfs)."""
    found = []
    for point in points:
        propagation = point.propagation or "rprivate"
        options = ("rbind", propagation, "rw" if point.rw else "ro")
        found.append(Mount(point.destination, point.source, "bind", options))
    for path, text in (host.tmpfs or {}).items():
        found.append(_tmpfs(_target(path), _tmpfs_options(text)))
    for mount in host.mounts or ():
        if mount.type == "tmpfs":
            asked = mount.tmpfs_options
            options_of_it = []
            if asked is not None and asked.size_bytes:
                options_of_it.append(f"size={asked.size_bytes}")
            if asked is not None and asked.mode:
                options_of_it.append(f"mode={asked.mode:o}")
            if mount.read_only:
                options_of_it.append("ro")
            found.append(_tmpfs(_target(mount.target), options_of_it))
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
