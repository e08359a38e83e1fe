"""Servers for what is fetched by URL: files over HTTP, and git repositories."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.real.process import Background
from tests.real.programs import require

__all__ = ["git", "git_daemon", "web_server"]


@contextmanager
def web_server(directory: Path) -> Iterator[str]:
    """Serve a directory's files on a loopback port; gives the URL of the directory.

    A path that begins with ``/named`` comes with another name for what it is.
    """

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(directory))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

        def end_headers(self) -> None:
            if self.path.startswith("/named"):
                self.send_header("Content-Disposition", 'attachment; filename="a/given name"')
            super().end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory, without anybody's settings; returns what it prints."""
    settings = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": "/nonexistent",
    }
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(
        [require("git"), *identity, "-C", str(directory), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **settings},
    )
    return done.stdout.strip()


@contextmanager
def git_daemon(base: Path, *, log: Path) -> Iterator[str]:
    """Serve the repositories in a directory on a loopback port; gives the URL of the directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [require("git"), "daemon", "--export-all", f"--base-path={base}"]
    server = Background(
        [*program, "--listen=127.0.0.1", f"--port={port}", "--reuseaddr", str(base)], log=log
    )

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        server.wait_ready(answers)
        yield f"git://127.0.0.1:{port}"
    finally:
        server.stop()
