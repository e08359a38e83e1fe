"""Source distributions of other projects: their own tests come with them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.real.programs import run

_ROOT = Path(__file__).resolve().parents[2]
CACHE = _ROOT / ".sdists"
"""Git-ignored. What is here already is not downloaded again."""


class SdistUnavailableError(Exception):
    """A source distribution cannot be had; says what pip said."""

    def __init__(self, requirement: str, output: str) -> None:
        self.requirement = requirement
        super().__init__(f"no source distribution of {requirement}:\n{output}")


def pinned(project: str) -> str:
    """The version in constraints.txt. Raises LookupError."""
    text = (_ROOT / "constraints.txt").read_text()
    found = re.search(rf"^{re.escape(project)}==(\S+)$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"constraints.txt does not name {project}")
    return found[1]


def sdist_tree(project: str, version: str) -> Path:
    """The unpacked source distribution, its tests in it. Do not write to it.

    Raises SdistUnavailableError.
    """
    tree = CACHE / f"{project}-{version}"
    if tree.exists():
        return tree
    CACHE.mkdir(exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=CACHE))
    try:
        archive = _download(f"{project}=={version}", partial)
        run(["tar", "--extract", f"--file={archive}", f"--directory={partial}", "--no-same-owner"])
        try:
            (partial / tree.name).rename(tree)
        except OSError:
            # Another process may have been faster; its tree is the same.
            if not tree.exists():
                raise
    finally:
        shutil.rmtree(partial)
    return tree


def _download(requirement: str, target: Path) -> Path:
    project = requirement.partition("==")[0]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--no-deps", f"--no-binary={project}", f"--dest={target}", requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        # pip asks the project for its metadata, in a build environment of its own: what is pinned
        # for ours does not concern it.
        env={key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"},
    )
    archives = list(target.glob("*.tar.gz"))
    if done.returncode != 0 or not archives:
        raise SdistUnavailableError(requirement, done.stdout.decode(errors="replace"))
    return archives[0]
