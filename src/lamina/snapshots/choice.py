"""Choosing how snapshots are kept: by trying, since no version tells what a machine allows."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.errors import InvalidParameter, LaminaError, Unavailable
from lamina.snapshots.disk import SnapshotDisk
from lamina.snapshots.mounter import HostMounter, Mounter, NamespaceMounter
from lamina.snapshots.native import NativeSnapshots
from lamina.snapshots.overlay import OverlaySnapshots
from lamina.snapshots.store import Snapshots

__all__ = ["DRIVERS", "Choice", "choose_snapshots"]

DRIVERS: Final = ("overlay", "overlay-userns", "native")
"""In the order in which they are tried."""

_MOUNTERS: Final[dict[str, Callable[[], Mounter]]] = {
    "overlay": HostMounter,
    "overlay-userns": NamespaceMounter,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why nothing before it was."""

    snapshots: Snapshots
    passed_over: dict[str, str]
    """Driver to what went wrong with it."""


def choose_snapshots(root: Path, *, driver: str | None = None) -> Choice:
    """Return the best way that works below the directory `root`; for a worker thread.

    `driver` asks for one of `DRIVERS`: Unavailable if it does not work, InvalidParameter if it is
    none. What was unpacked by one is not used by another: each has a directory of its own.
    """
    if driver is not None and driver not in DRIVERS:
        raise InvalidParameter(
            f"unknown snapshot driver {driver!r}: use one of {', '.join(DRIVERS)}"
        )
    passed_over: dict[str, str] = {}
    for name in (driver,) if driver else DRIVERS:
        place = root / name
        if name == "native":
            return Choice(NativeSnapshots(place), passed_over)
        mounter: Mounter | None = None
        try:
            mounter = _MOUNTERS[name]()
            try_overlay(mounter, place)
            return Choice(OverlaySnapshots(place, mounter=mounter), passed_over)
        except (OSError, LaminaError) as error:
            if mounter is not None:
                mounter.close()
            passed_over[name] = str(error)
    raise Unavailable(f"snapshot driver {driver} does not work here: {passed_over[str(driver)]}")


def try_overlay(mounter: Mounter, root: Path) -> None:
    """Make an overlay below `root` and see that it hides and shows what it should.

    Raises OSError, Unavailable.
    """
    with SnapshotDisk(root).staged() as path:
        lower, upper, work, merged = (path / name for name in ("lower", "upper", "work", "merged"))
        for directory in (lower, upper, work, merged, lower / "hidden", upper / "hidden"):
            directory.mkdir()
        (lower / "removed").touch()
        (lower / "hidden/file").touch()
        (lower / "seen").touch()
        os.mknod(upper / "removed", 0o020000)
        os.setxattr(upper / "hidden", f"{mounter.overlay_xattrs}opaque", b"y")
        mounter.mount(merged, lowers=[lower], upper=upper, work=work)
        try:
            seen = mounter.seen(merged)
            found = {str(below.relative_to(seen)) for below in seen.rglob("*")}
            (seen / "written").touch()
        finally:
            mounter.unmount(merged)
        if found != {"hidden", "seen"} or not (upper / "written").exists():
            raise Unavailable("overlayfs does not show what it should")
