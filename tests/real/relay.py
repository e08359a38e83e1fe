"""A socket between a client and an engine: it notes what is asked, and passes everything on."""

import contextlib
import select
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from threading import Thread

__all__ = ["Asked", "Relay", "relay"]

_PIECE = 1 << 16


@dataclass(frozen=True)
class Asked:
    """A request: its head, the names of headers in small letters, and how its body begins."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Relay:
    """Listens on `socket` for clients of the engine that listens on `engine`.

    `asked` has what all of them asked, in its order. Either side may end its direction first, and a
    client that is gone is gone for the engine too.
    """

    def __init__(self, socket: Path, engine: Path) -> None:
        self.socket = socket
        self.asked: list[Asked] = []
        self._engine = engine

    @property
    def host(self) -> str:
        """As DOCKER_HOST wants it."""
        return f"unix://{self.socket}"

    def listen(self) -> socket.socket:
        """Answer connections in threads until what is returned is shut down."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self.socket))
        listening.listen(64)
        Thread(target=self._accept, args=[listening], daemon=True).start()
        return listening

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.connect(str(self._engine))
            back = Thread(target=_copy_answers, args=[engine, client], daemon=True)
            back.start()
            # Whoever has hung up hears no more; the other thread tells the rest.
            with contextlib.suppress(OSError), client.makefile("rb") as reader:
                self._copy_requests(reader, engine)
                engine.shutdown(socket.SHUT_WR)
            hung_up = select.poll()
            hung_up.register(client, 0)
            hung_up.poll()
            with contextlib.suppress(OSError):
                engine.shutdown(socket.SHUT_RDWR)
            back.join()

    def _copy_requests(self, reader: BufferedReader, engine: socket.socket) -> None:
        while head := _head(reader):
            first, *lines = head.decode("latin-1").splitlines()
            method, target, _ = first.split(" ")
            pairs = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            length = int(headers.get("content-length", "0"))
            is_chunked = headers.get("transfer-encoding") == "chunked"
            engine.sendall(head)
            begin = _copy_chunks(reader, engine) if is_chunked else _copy(reader, engine, length)
            self.asked.append(Asked(method, target, headers, begin))
            if "upgrade" in headers:
                while piece := reader.read1(_PIECE):
                    engine.sendall(piece)


def _head(reader: BufferedReader) -> bytes:
    """The lines of a head with the empty one; nothing at the end of the connection."""
    lines = [reader.readline()]
    while lines[-1].strip():
        lines.append(reader.readline())
    return b"".join(lines)


def _copy(reader: BufferedReader, engine: socket.socket, length: int) -> bytes:
    """Pass on so many bytes; returns their first piece."""
    first = b""
    while length and (piece := reader.read1(min(length, _PIECE))):
        engine.sendall(piece)
        first = first or piece
        length -= len(piece)
    return first


def _copy_chunks(reader: BufferedReader, engine: socket.socket) -> bytes:
    """Pass on a body in chunks; returns the first piece of the first one."""
    first, size = b"", -1
    while size and (line := reader.readline()):
        size = int(line, 16)
        engine.sendall(line)
        piece = _copy(reader, engine, size + 2)
        first = first or piece.rstrip(b"\r\n")
    return first


def _copy_answers(engine: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := engine.recv(_PIECE):
            client.sendall(piece)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)


@contextmanager
def relay(engine: Path) -> Iterator[Relay]:
    """A relay to the engine on a unix socket; at the end its own is gone."""
    # Not pytest's own directories: a unix socket's path must stay below 108 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lamina-relay-"))
    relay = Relay(directory / "r.sock", engine)
    listening = relay.listen()
    try:
        yield relay
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        shutil.rmtree(directory)
