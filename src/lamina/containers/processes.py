"""The processes of a container, as ``ps`` on the host shows them, and what they use."""

import asyncio
import re
from typing import Final

from lamina.containers.containers import Containers
from lamina.errors import InvalidParameter, LaminaError, Unavailable
from lamina.models import ContainerTopResponse
from lamina.runtime.programs import find_program

__all__ = ["container_processes"]

_ARGUMENT: Final = re.compile(r"[A-Za-z0-9,_:=+.\-]+")


async def container_processes(
    containers: Containers, name: str, ps_args: str
) -> ContainerTopResponse:
    """The rows of ``ps`` that are about a container. Conflict, InvalidParameter, Unavailable."""
    container = containers.find(name)
    sandbox = containers.sandbox(container)
    arguments = ps_args.split() or ["-ef"]
    if not all(_ARGUMENT.fullmatch(argument) for argument in arguments):
        raise InvalidParameter(f"invalid arguments of ps: {ps_args}")
    program = find_program("ps")
    if program is None:
        raise Unavailable("ps is not installed: install the package procps")
    pids = {str(pid) for pid in await sandbox.processes()}
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin"},
    )
    output, errors = await process.communicate()
    if process.returncode:
        # What follows the first line is how to use it.
        reason = errors.decode(errors="replace").partition("\n")[0]
        raise LaminaError(f"ps: {reason or f'exit status {process.returncode}'}")
    await containers.tell(container, "top")
    return _rows(output.decode(errors="replace"), pids)


def _rows(output: str, pids: set[str]) -> ContainerTopResponse:
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise LaminaError("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        cells = line.split()
        if len(cells) > column and cells[column] in pids:
            # The last column is the command, which has blanks of its own.
            last = len(titles) - 1
            rows.append([*cells[:last], " ".join(cells[last:])])
    return ContainerTopResponse(titles=titles, processes=rows)
