"""Which OCI runtime works here: found by running a tiny container, since no version tells it."""

import asyncio
import json
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.errors import Unavailable
from lamina.runtime.monitor import last_error
from lamina.runtime.ocispec import Machine, sandbox_document
from lamina.runtime.spec import Mount, ProcessSpec, SandboxSpec
from lamina.runtime.sweeping import discard
from lamina.runtime.users import Identity

__all__ = ["PROGRAMS", "RuntimeProgram", "find_init", "find_program", "find_runtime"]

PROGRAMS: Final = ("runc", "crun", "youki")
"""In the order in which they are tried."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INITS: Final = ("docker-init", "tini-static", "catatonit")
_TRY_SECONDS: Final = 20
_NOT_INSTALLED: Final = "not installed"
_HOST_DIRECTORIES: Final = ("/bin", "/sbin", "/usr", "/lib", "/lib32", "/lib64", "/nix")


@dataclass(frozen=True, slots=True)
class RuntimeProgram:
    """A runtime that works."""

    name: str
    path: str
    version: str
    passed_over: dict[str, str]
    """What was tried before, and why it does not work."""


def find_program(name: str) -> str | None:
    """Where a program is installed, in the places where system programs are."""
    return shutil.which(name, path=_PATH)


def find_init() -> Path:
    """The small init for containers that ask for one. Unavailable."""
    for name in _INITS:
        if (path := find_program(name)) is not None:
            return Path(path).resolve()
    raise Unavailable(
        f"no init for containers is installed (tried {', '.join(_INITS)}): install the package tini"
    )


async def find_runtime(
    directory: Path,
    machine: Machine,
    *,
    program: str | None = None,
    command: Callable[[Sequence[str]], list[str]] = list,
) -> RuntimeProgram:
    """Try the runtimes that are installed, or just `program`, below `directory`. Unavailable."""
    passed_over: dict[str, str] = {}
    for name in (program,) if program else PROGRAMS:
        path = shutil.which(name) if "/" in name else find_program(name)
        if path is None:
            passed_over[name] = _NOT_INSTALLED
            continue
        place = directory / f"try-{secrets.token_hex(4)}"
        place.mkdir(mode=0o700)
        try:
            await asyncio.wait_for(_try(path, place, machine, command), _TRY_SECONDS)
            version = await _version(path)
            return RuntimeProgram(name.rpartition("/")[2], path, version, passed_over)
        except (OSError, Unavailable, TimeoutError) as error:
            passed_over[name] = str(error) or type(error).__name__
        finally:
            await asyncio.to_thread(discard, directory, place.name)
    tried = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    is_installed = any(why != _NOT_INSTALLED for why in passed_over.values())
    advice = "" if is_installed else ": to run containers, install the package runc"
    raise Unavailable(f"no OCI runtime works here ({tried}){advice}")


async def _try(
    path: str, place: Path, machine: Machine, command: Callable[[Sequence[str]], list[str]]
) -> None:
    """Run a program of the host's in a container of its own. Unavailable, OSError."""
    rootfs = place / "rootfs"
    rootfs.mkdir()
    mounts = []
    for directory in map(Path, _HOST_DIRECTORIES):
        if directory.is_symlink():
            (rootfs / directory.name).symlink_to(directory.readlink())
        elif directory.is_dir():
            (rootfs / directory.name).mkdir()
            mounts.append(Mount(str(directory), str(directory), options=("rbind", "ro")))
    program = find_program("true") or "/bin/true"
    spec = SandboxSpec(
        rootfs=rootfs, process=ProcessSpec(argv=(program,)), mounts=tuple(mounts), hostname="try"
    )
    name = f"lamina-{place.name}"
    document = sandbox_document(name, spec, Identity(0, 0), machine)
    (place / "config.json").write_text(json.dumps(document))
    log = place / "log"
    options = [f"--root={place}/state", f"--log={log}", "--log-format=json"]
    process = await asyncio.create_subprocess_exec(
        *command([path, *options, "run", f"--bundle={place}", name]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": _PATH},
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if code:
        raise Unavailable(last_error(log, code))


async def _version(path: str) -> str:
    process = await asyncio.create_subprocess_exec(
        path, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    words = output.decode(errors="replace").split("\n")[0].split()
    return words[-1] if words else ""
