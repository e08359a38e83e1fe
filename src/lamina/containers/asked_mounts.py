"""Mounts as they are asked for, and what dockerd says of those that cannot be."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lamina.containers.settings import refuse_named_volume
from lamina.containers.volumes import new_volume_name
from lamina.dockerfile.gostrings import clean
from lamina.errors import InvalidParameter, NotFound, NotImplementedHere
from lamina.models import BindOptions, Mount, VolumeOptions

__all__ = [
    "AT_ROOT",
    "PROPAGATIONS",
    "check_mount",
    "check_source",
    "is_mode",
    "mount_of_text",
    "must_exist",
    "tmpfs_target",
]

PROPAGATIONS: Final = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_MODES: Final = (
    frozenset(("ro", "rw")),
    frozenset(("z", "Z")),
    PROPAGATIONS,
    frozenset(("nocopy",)),
    frozenset(("consistent", "cached", "delegated")),
)
"""What ``-v`` may say of a mount, of each kind one at most."""
AT_ROOT: Final = "invalid specification: destination can't be '/'"


def is_mode(text: str) -> bool:
    """Whether ``-v`` may say this of a mount; nothing is said often."""
    options = text.split(",") if text else []
    return all(any(option in kind for kind in _MODES) for option in options) and not any(
        sum(option in kind for option in options) > 1 for kind in _MODES
    )


def mount_of_text(text: str) -> tuple[Mount, str]:
    """What ``-v`` says, ``[SOURCE:]TARGET[:MODE]``, as a mount with a mode. InvalidParameter."""
    parts = text.split(":")
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and is_mode(parts[1])):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    source, target, mode = ("", *parts, "") if len(parts) == 1 else (*parts, "")[:3]
    if not is_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    options = mode.split(",")
    propagation = next((option for option in options if option in PROPAGATIONS), "")
    mount = Mount(
        type="bind" if source.startswith("/") else "volume",
        source=source,
        target=target,
        read_only="ro" in options,
        bind_options=BindOptions(propagation=propagation) if propagation else None,
        volume_options=VolumeOptions(no_copy=True) if "nocopy" in options else None,
    )
    try:
        check_mount(mount, looks=False)
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid volume specification: '{text}': {error}") from None
    return mount, mode


def check_mount(mount: Mount, *, looks: bool = True) -> None:
    """Refuse what dockerd refuses of a mount, in its order; `looks` for a source of the host.

    InvalidParameter, NotFound (a driver), NotImplementedHere (named volumes).
    """
    fault = _fault_of_target(mount.target)
    if not fault:
        of_type = _FAULTS.get(mount.type)
        fault = "mount type unknown" if of_type is None else of_type(mount)
    if fault:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": {fault}')
    if looks:
        check_source(mount)
    if mount.type == "volume":
        if mount.source:
            raise refuse_named_volume(mount.source)
        _check_driver(mount.volume_options or VolumeOptions())


def _fault_of_target(path: str) -> str:
    """What is wrong with where something is to be mounted."""
    if not path:
        return "field Target must not be empty"
    return AT_ROOT if clean(path) == "/" else _fault_of_path(path)


def _fault_of_path(path: str) -> str:
    absolute = path.startswith("/")
    return "" if absolute else f"invalid mount path: '{path}' mount path must be absolute"


def _fault_of_bind(mount: Mount) -> str:
    propagation = (mount.bind_options or BindOptions()).propagation
    if not mount.source:
        return "field Source must not be empty"
    if propagation and propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {propagation}"
    if mount.volume_options is not None:
        return "field VolumeOptions must not be specified"
    return _fault_of_path(mount.source)


def _fault_of_volume(mount: Mount) -> str:
    if mount.bind_options is not None:
        return "field BindOptions must not be specified"
    if not mount.source and mount.read_only:
        return "must not set ReadOnly mode when using anonymous volumes"
    return ""


def _fault_of_tmpfs(mount: Mount) -> str:
    if mount.bind_options is not None:
        return "field BindOptions must not be specified"
    return "field Source must not be specified" if mount.source else ""


_FAULTS: Final[Mapping[str, Callable[[Mount], str]]] = {
    "bind": _fault_of_bind,
    "volume": _fault_of_volume,
    "tmpfs": _fault_of_tmpfs,
}


def _check_driver(options: VolumeOptions) -> None:
    driver = options.driver_config
    if driver is not None and driver.name not in {"", "local"}:
        raise NotFound(
            f"create {new_volume_name()}: error looking up volume plugin {driver.name}:"
            f' plugin "{driver.name}" not found'
        )
    if driver is not None and driver.options:
        raise NotImplementedHere("lamina has no options of volume drivers")


def check_source(mount: Mount) -> None:
    """InvalidParameter for a directory of the host that must be there and is not."""
    if must_exist(mount) and not Path(mount.source).exists():
        raise InvalidParameter(
            f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
        )


def must_exist(mount: Mount) -> bool:
    """Whether it is of a directory of the host that nobody makes."""
    options = mount.bind_options or BindOptions()
    return mount.type == "bind" and not options.create_mountpoint


def tmpfs_target(path: str) -> str:
    """Where a tmpfs is to be mounted. InvalidParameter."""
    if clean(path) == "/":
        raise InvalidParameter(AT_ROOT)
    if fault := _fault_of_path(path):
        raise InvalidParameter(fault)
    return clean(path)
