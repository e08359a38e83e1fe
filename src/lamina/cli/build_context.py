"""What ``lamina build`` sends: of a directory, of stdin, or nothing where the engine fetches."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import LaminaError
from lamina.packing.context import (
    directory_context,
    is_remote,
    piped_context,
    piped_dockerfile,
)
from lamina.streams import ByteSource


@dataclass(frozen=True, slots=True)
class Sent:
    """The parameters ``dockerfile``, ``remote`` and ``input_stream`` of a build."""

    dockerfile: str
    remote: str = ""
    stream: ByteSource | None = None


async def sent_context(context: str, dockerfile: str | None) -> Sent:
    """Find out what is meant by the argument and ``--file``. Raises LaminaError, OSError."""
    if context == "-":
        if dockerfile == "-":
            raise LaminaError(
                "invalid argument: can't use stdin for both build context and dockerfile"
            )
        packed = await piped_context(sys.stdin.buffer, dockerfile or "")
    elif await asyncio.to_thread(Path(context).is_dir):
        text = await piped_dockerfile(sys.stdin.buffer) if dockerfile == "-" else None
        path = Path(dockerfile) if dockerfile and text is None else None
        packed = await asyncio.to_thread(directory_context, Path(context), path, text=text)
    elif is_remote(context):
        if dockerfile == "-":
            raise LaminaError("a Dockerfile from stdin cannot be added to a context by URL")
        return Sent(dockerfile or "", remote=context)
    else:
        raise LaminaError(f'unable to prepare context: path "{context}" not found')
    return Sent(packed.dockerfile, stream=packed.stream)
