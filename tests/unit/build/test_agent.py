import asyncio
from pathlib import Path

from lamina.build.agent import forwarded_agent


async def test_what_is_said_to_it_is_said_to_the_agent(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.readline())
        writer.close()

    agent = await asyncio.start_unix_server(answer, tmp_path / "agent")
    async with agent, forwarded_agent(tmp_path / "agent", tmp_path / "here"):
        for text in (b"one\n", b"two\n"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "here")
            writer.write(text)
            assert await reader.read() == b"heard " + text
            writer.close()


async def test_an_agent_that_is_gone(tmp_path: Path) -> None:
    async with forwarded_agent(tmp_path / "agent", tmp_path / "here"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "here")
        assert await reader.read() == b""
        writer.close()


async def test_connections_end_with_it(tmp_path: Path) -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"on")
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(wait, tmp_path / "agent"):
        async with forwarded_agent(tmp_path / "agent", tmp_path / "here"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "here")
            assert await reader.read(2) == b"on"
        assert await reader.read() == b""
        writer.close()
