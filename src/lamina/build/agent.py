"""An SSH agent's socket, passed on: a socket that a build's command may open leads to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PIECE = 1 << 16


@asynccontextmanager
async def forwarded_agent(agent: Path, path: Path) -> AsyncIterator[None]:
    """Listen at `path`; every connection is one to the agent's own socket, while this lasts."""
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            await _join(agent, reader, writer)
        except (OSError, asyncio.CancelledError):
            # The command sees that its connection has ended; it is its to say why that matters.
            pass
        finally:
            open_connections.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for task in list(open_connections):
            task.cancel()
        if open_connections:
            await asyncio.wait(open_connections)


async def _join(agent: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from_agent, to_agent = await asyncio.open_unix_connection(agent)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, to_agent))
            group.create_task(_pass_on(from_agent, writer))
    except ExceptionGroup as group_error:
        raise OSError("the connection broke off") from group_error
    finally:
        to_agent.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        target.write(piece)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
