"""The process that holds a user namespace, and the mounts in it, for the one that started it.

Run as ``python -m lamina.snapshots.holder``. It reads requests, a JSON object a line, answers each
with one, and ends with its input; the kernel then removes the mounts nobody else uses.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from lamina.snapshots.mounting import make_private, mount_overlay, unmount

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUSER: Final = 0x10000000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_SIGKILL: Final = 9


def enter() -> None:
    """Become root of a new user namespace with mounts of its own. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS):
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")
    # Or nobody but root could look into /proc/PID, ourselves included.
    libc.prctl(_PR_SET_DUMPABLE, 1)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    make_private()


def answer(request: dict[str, Any]) -> None:
    """Do what is asked for. Raises OSError."""
    target = Path(request["target"])
    if request["do"] == "unmount":
        unmount(target)
        return
    mount_overlay(
        target,
        lowers=[Path(path) for path in request["lowers"]],
        upper=Path(request["upper"]),
        work=Path(request["work"]),
        userxattr=True,
    )


def main() -> None:
    """Serve until the input ends."""
    reply: dict[str, object]
    try:
        enter()
        reply = {}
    except OSError as error:
        reply = {"errno": error.errno, "why": str(error)}
    print(json.dumps(reply), flush=True)  # noqa: T201 - the protocol's channel
    for line in sys.stdin:
        try:
            answer(json.loads(line))
            reply = {}
        except OSError as error:
            reply = {"errno": error.errno, "why": str(error)}
        print(json.dumps(reply), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
