"""The real docker command-line client, kept apart from its user's contexts and settings."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.programs import ProgramFailedError, require

_OF_THE_USER = (
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
)


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it wrote."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()


@dataclass(frozen=True)
class DockerCli:
    """A docker client that speaks to one engine; `config` is its own, private directory."""

    host: str
    config: Path
    program: str = field(default_factory=lambda: require("docker"))
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in _OF_THE_USER}
        # Messages and times in one language and zone, whatever the machine's.
        fixed = {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.config), "TZ": "UTC"}
        return {**kept, **fixed, "LC_ALL": "C.UTF-8", **self.env}

    def run(self, *args: str, stdin: bytes | Path | None = None, timeout: float = 240) -> Answer:
        """Run `docker ARGS…`; a path given as `stdin` is read from that file."""
        argv = [self.program, *args]
        if isinstance(stdin, Path):
            with stdin.open("rb") as file:
                done = subprocess.run(
                    argv,
                    stdin=file,
                    capture_output=True,
                    check=False,
                    env=self.environment(),
                    timeout=timeout,
                )
        else:
            done = subprocess.run(
                argv,
                input=stdin or b"",
                capture_output=True,
                check=False,
                env=self.environment(),
                timeout=timeout,
            )
        return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def __call__(self, *args: str, stdin: bytes | Path | None = None, timeout: float = 240) -> str:
        """Run `docker ARGS…` and return what it printed. Raises ProgramFailedError."""
        answer = self.run(*args, stdin=stdin, timeout=timeout)
        if answer.status != 0:
            raise ProgramFailedError(
                ["docker", *args],
                answer.status,
                answer.stdout.decode(errors="replace"),
                answer.stderr,
            )
        return answer.text
