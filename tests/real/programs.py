"""Finds the programs that tests drive; a missing one is a failure that names its Debian package."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGES = {
    "busybox": "busybox-static",
    "crun": "crun",
    "debootstrap": "debootstrap",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "htpasswd": "apache2-utils",
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "podman": "podman",
    "runc": "runc",
    "skopeo": "skopeo",
    "nsenter": "util-linux",
    "pasta": "passt",
    "slirp4netns": "slirp4netns",
    "ssh-add": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "umoci": "umoci",
}

# Daemons live in sbin, which a user's PATH need not name.
SEARCH_PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
)


class MissingProgramError(Exception):
    """A program that the tests need is not installed."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.package = PACKAGES.get(program, program)
        super().__init__(
            f"{program} is not installed; `scripts/setup test` installs it "
            f"(Debian package {self.package})"
        )


class ProgramFailedError(Exception):
    """A program ended with a non-zero status; says which, and what it wrote."""

    def __init__(self, argv: Sequence[str], status: int, stdout: str, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"{' '.join(argv)} → {status}\n{stdout}{stderr}")


def require(program: str) -> str:
    """The absolute path of a program. Raises MissingProgramError."""
    found = shutil.which(program, path=SEARCH_PATH)
    if found is None:
        raise MissingProgramError(program)
    return found


def all_of(program: str) -> tuple[Path, ...]:
    """Every installation of a program, first found first. Raises MissingProgramError."""
    found: dict[Path, None] = {}
    for directory in SEARCH_PATH.split(os.pathsep):
        candidate = shutil.which(program, path=directory)
        if candidate is not None:
            found[Path(candidate).resolve()] = None
    if not found:
        raise MissingProgramError(program)
    return tuple(found)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 240,
) -> str:
    """Run a program found by `require`; returns its standard output. Raises ProgramFailedError."""
    done = subprocess.run(
        [require(argv[0]), *argv[1:]],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
        env=env,
        cwd=cwd,
        timeout=timeout,
    )
    stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise ProgramFailedError(argv, done.returncode, stdout, stderr)
    return stdout


def as_root(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` as root: itself, or through a sudo that asks nothing."""
    return list(argv) if os.geteuid() == 0 else [require("sudo"), "-n", *argv]
