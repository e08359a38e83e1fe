"""A real registry (Debian's docker-registry) on a loopback port: plain, with passwords, TLS."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.certificates import Authority
from tests.real.process import Background
from tests.real.programs import require, run

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Registry:
    """A running registry; `storage` is where it keeps its files."""

    port: int
    storage: Path
    background: Background

    @property
    def address(self) -> str:
        """As an image reference begins."""
        return f"localhost:{self.port}"


@contextmanager
def registry(
    *,
    user: str | None = None,
    password: str = "",
    tls: Authority | None = None,
    read_only: bool = False,
    caches: str = "",
    parent: Path | None = None,
) -> Iterator[Registry]:
    """Start an empty registry on a free port of 127.0.0.1; at the end it and its files are gone.

    Its files are below `parent`, or where temporary files are.
    With `user` it asks for HTTP basic authentication. `caches` is the address of a registry for
    which it is a mirror: it fetches from there what it is asked for, and takes no pushes.
    Raises MissingProgramError, NotReadyError.
    """
    program = require("docker-registry")
    root = Path(tempfile.mkdtemp(prefix="lamina-registry-", dir=parent))
    storage = root / "storage"
    http: dict[str, object] = {"addr": "127.0.0.1:0", "secret": "of the tests"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls.server_certificate), "key": str(tls.server_key)}
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            "maintenance": {"readonly": {"enabled": read_only}},
        },
        "http": http,
    }
    if user is not None:
        passwords = root / "htpasswd"
        passwords.write_text(run(["htpasswd", "-Bbn", "-C", "4", user, password]))
        config["auth"] = {"htpasswd": {"realm": "lamina", "path": str(passwords)}}
    if caches:
        config["proxy"] = {"remoteurl": f"http://{caches}"}
    # JSON is YAML too.
    (root / "config.yml").write_text(json.dumps(config))
    log = root / "log"
    background = Background([program, "serve", str(root / "config.yml")], log=log)
    try:
        # It is told port 0 and writes which one the kernel gave it, so no two tests can collide.
        background.wait_ready(lambda: _LISTENING.search(log.read_text()) is not None)
        found = _LISTENING.search(log.read_text())
        assert found is not None
        yield Registry(int(found[1]), storage, background)
    finally:
        background.stop()
        shutil.rmtree(root)
