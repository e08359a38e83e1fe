"""`python unprivileged.py COMMAND…`: runs it as a user who may do nothing, if run by root.

Everybody may use its ``/dev/net/tun``, as on most machines; and it finds Python and this checkout,
even where only root may look. Its mount namespace is its own, so nothing of that is seen outside.
"""

import ctypes
import os
import stat
import sys
from pathlib import Path

NOBODY = 65534
PROJECT = Path(__file__).resolve().parents[2]

_TUN = Path("/dev/net/tun")
_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_PRIVATE_WITH_ALL_BELOW = 0x44000
_LIBC = ctypes.CDLL(None, use_errno=True)


def as_nobody(*command: str) -> list[str]:
    """The command line that does it."""
    return [sys.executable, __file__, *command]


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str = "") -> None:
    encoded = [None if text is None else text.encode() for text in (source, str(target), kind)]
    if _LIBC.mount(*encoded, ctypes.c_ulong(flags), data.encode()):
        raise OSError(ctypes.get_errno(), f"mounting {target}")


def _hiding(path: Path) -> Path | None:
    """The first directory on the way that only its owner may pass."""
    ways = [*reversed(path.parents), path]
    return next((way for way in ways if not way.stat().st_mode & stat.S_IXOTH), None)


def _show(paths: list[Path]) -> None:
    """Make directories visible to everybody, and those that hide them empty but for them."""
    hidden = {path: hiding for path in paths if (hiding := _hiding(path)) is not None}
    opened = {path: os.open(path, os.O_PATH) for path in hidden}
    for hiding in set(hidden.values()):
        _mount("tmpfs", hiding, "tmpfs", 0, "mode=755")
    for path, descriptor in opened.items():
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND)
        os.close(descriptor)


def _give_tun() -> None:
    directory = Path("/mnt")
    _mount("tmpfs", directory, "tmpfs", 0, "mode=755")
    node = directory / "tun"
    os.mknod(node, stat.S_IFCHR | 0o666, _TUN.stat().st_rdev)
    node.chmod(0o666)
    _mount(str(node), _TUN, None, _MS_BIND)


def main() -> None:
    if os.geteuid() == 0:
        if _LIBC.unshare(_CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        _mount("none", Path("/"), None, _MS_PRIVATE_WITH_ALL_BELOW)
        _show([Path(sys.base_prefix), Path(sys.prefix), PROJECT])
        _give_tun()
        os.chdir("/")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - what a test asks for


if __name__ == "__main__":
    main()
