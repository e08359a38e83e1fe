"""Networks of a test's own: a host that engines may change, and the world beyond it.

::

    host  up0 198.51.100.2 ─── 198.51.100.1 w0  world: an HTTP server tells callers their address

Both are network namespaces without a name; they go with what is in them.
"""

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from lamina.runtime.networks.namespaces import new_namespace
from tests.real.programs import run

T = TypeVar("T")

HOST = "198.51.100.2"
WORLD = "198.51.100.1"


@dataclass(frozen=True)
class Island:
    """Both namespaces, as descriptors of this process."""

    host: int
    world: int
    port: int
    """Of the server in the world."""

    @property
    def ask(self) -> str:
        """A command of busybox's that asks the server, and prints `HOST` if the host did."""
        return f"busybox wget -qO- http://{WORLD}:{self.port}"

    @property
    def enter(self) -> list[str]:
        """What makes a command line one that runs on the host."""
        return _enter(self.host)

    def links(self) -> set[str]:
        """The network devices of the host."""
        text = run([*self.enter, "ip", "-oneline", "link"])
        return {line.split()[1].rstrip(":").partition("@")[0] for line in text.splitlines()}

    def rules(self) -> list[str]:
        """The rules of its firewall, but for what is always there."""
        text = "".join(
            run([*self.enter, "iptables", "-t", table, "-S"]) for table in ("nat", "filter")
        )
        return [line for line in text.splitlines() if not line.startswith("-P")]

    def on_host(self, do: Callable[[], T]) -> T:
        """Do something in a thread that is on the host."""
        return _within(self.host, do)


def _enter(namespace: int) -> list[str]:
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{namespace}", "--"]


def _within(namespace: int, do: Callable[[], T]) -> T:
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        if libc.setns(namespace, 0):
            raise OSError(ctypes.get_errno(), "setns")

    with ThreadPoolExecutor(1, initializer=enter) as pool:
        return pool.submit(do).result()


@contextmanager
def island() -> Iterator[Island]:
    """Both, with an address each and a route between them."""
    host, world = new_namespace(), new_namespace()
    try:
        with closing(_within(world, lambda: socket.create_server(("0.0.0.0", 0)))) as server:
            made = Island(host, world, server.getsockname()[1])
            peer = f"/proc/{os.getpid()}/fd/{world}"
            for command in (
                f"link add up0 type veth peer name w0 netns {peer}",
                f"address add {HOST}/24 dev up0",
                "link set up0 up",
            ):
                run([*made.enter, "ip", *command.split()])
            for command in (f"address add {WORLD}/24 dev w0", "link set w0 up"):
                run([*_enter(world), "ip", *command.split()])
            run([*made.enter, "ip", "route", "add", "default", "via", WORLD])
            serving = Thread(target=_serve, args=(server,))
            serving.start()
            yield made
            server.shutdown(socket.SHUT_RDWR)
            serving.join()
    finally:
        os.close(host)
        os.close(world)


def _serve(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, (address, _) = server.accept()
            with connection, suppress(ConnectionError):
                asked = b""
                while b"\r\n\r\n" not in asked and (piece := connection.recv(65536)):
                    asked += piece
                connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{address}\n".encode())
