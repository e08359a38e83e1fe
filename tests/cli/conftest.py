"""The command under test as a process of its own, and images that make its output worth reading."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.real.archives import docker_archive
from tests.real.checkout import environment
from tests.real.docker_cli import Answer
from tests.real.images import file, layer, make_image, small_image, tar_of


@dataclass(frozen=True)
class LaminaCli:
    """`lamina …` with an environment that names no engine."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in environment().items() if not k.startswith(("DOCKER_", "LAMINA_"))}
        fixed = {"HOME": str(self.home), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        return {**kept, **fixed, **self.env}

    def run(self, *args: str, stdin: bytes | Path | None = None, timeout: float = 240) -> Answer:
        """Run `lamina ARGS…`; a path given as `stdin` is read from that file."""
        argv = [sys.executable, "-m", "lamina", *args]
        env = self.environment()
        if isinstance(stdin, Path):
            with stdin.open("rb") as source:
                done = subprocess.run(
                    argv, stdin=source, capture_output=True, check=False, env=env, timeout=timeout
                )
        else:
            done = subprocess.run(
                argv, input=stdin or b"", capture_output=True, check=False, env=env, timeout=timeout
            )
        return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def __call__(self, *args: str, stdin: bytes | Path | None = None, timeout: float = 240) -> str:
        """Run `lamina ARGS…`, which must end well and say nothing on stderr; what it printed."""
        answer = self.run(*args, stdin=stdin, timeout=timeout)
        assert (answer.status, answer.stderr) == (0, ""), (args, answer)
        return answer.text


@pytest.fixture
def lamina(tmp_path: Path) -> LaminaCli:
    return LaminaCli(tmp_path)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of four images: two names, one name, none, and a history that is hard to show."""
    strange = make_image(
        layer(file("strange", "x" * 123_456)),
        layer(file("more", "y")),
        history=[
            {
                "created": "2021-03-04T05:06:07Z",
                "created_by": "/bin/sh -c echo\ta tab && " + "long " * 20 + "<&>",
                "comment": "first",
            },
            {"created": "2023-03-04T05:06:07Z", "created_by": "LABEL x=ü", "empty_layer": True},
            {"created": "2024-03-04T05:06:07Z", "created_by": "COPY more /"},
        ],
        created="2024-03-04T05:06:07.89Z",
    )
    files = docker_archive(
        (small_image("cli one"), ["cli/one:1", "cli/one:latest"]),
        (small_image("cli two"), ["cli.example:5000/cli/two:v2"]),
        (strange, ["cli/strange:latest"]),
        (small_image("cli none"), []),
    )
    path = tmp_path_factory.mktemp("sample") / "sample.tar"
    path.write_bytes(tar_of(files))
    return path
