"""Runs the tests that a client library brings with it against an engine, unchanged."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

STANDINS = Path(__file__).parent / "standins"
"""Modules which those tests import, and of which what we run needs next to nothing."""


@dataclass(frozen=True)
class Outcome:
    """How a test ended; `text` says why if it has not passed."""

    status: Literal["passed", "failed", "skipped"]
    text: str = ""


Outcomes = Mapping[str, Outcome]
"""By file, class and name: `api_image_test.PullImageTest.test_pull`."""


@dataclass(frozen=True)
class Suite:
    """A checkout's `tests`, of which `files` are run without what is `out_of_scope`.

    Paths are relative to the checkout, and what is out of scope begins with `path::name`; it stands
    under the reason for which it is. `options` are pytest's.
    """

    name: str
    tree: Path
    files: Sequence[str]
    out_of_scope: Mapping[str, Collection[str]]
    options: Sequence[str] = ()

    def run(self, host: str, work: Path, env: Mapping[str, str]) -> Outcomes:
        """Run it against the engine at `host` (a DOCKER_HOST), in the new directory `work`."""
        work.mkdir()
        # Without the library beside them: the one that is installed is to be tested.
        shutil.copytree(self.tree / "tests", work / "tests")
        for settings in ("pytest.ini", "pyproject.toml"):
            if (self.tree / settings).exists():
                shutil.copy(self.tree / settings, work / settings)
        report = work / "report.xml"
        unwanted = [name for names in self.out_of_scope.values() for name in names]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout=300"),
                *("--junit-xml", str(report), *self.options),
                *(f"--deselect={name}" for name in unwanted),
                *self.files,
            ],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=_environment(host, work) | dict(env),
        )
        # 0: all passed, 1: some failed. Anything else is no result.
        assert done.returncode in {0, 1}, f"{self.name}: {done.stdout}"
        return _outcomes(report)


def not_passed(outcomes: Outcomes) -> dict[str, str]:
    """Those that failed or were skipped, and why."""
    return {
        name: f"{outcome.status}: {outcome.text}"
        for name, outcome in outcomes.items()
        if outcome.status != "passed"
    }


def _environment(host: str, work: Path) -> dict[str, str]:
    """Ours, without settings of ours for pytest and docker clients; everybody's home is `work`."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not re.match("PYTEST|DOCKER|PYTHONPATH", key)
    }
    return inherited | {
        "HOME": str(work),
        "DOCKER_CONFIG": str(work / ".docker"),
        "DOCKER_HOST": host,
        "PYTHONPATH": str(STANDINS),
    }


def _outcomes(report: Path) -> Outcomes:
    outcomes: dict[str, Outcome] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = re.sub(
            r"^tests\.(integration\.)?", "", f"{case.get('classname')}.{case.get('name')}"
        )
        skipped = case.find("skipped")
        bad = [*case.findall("failure"), *case.findall("error")]
        if bad:
            text = "\n".join(f"{one.get('message')}\n{one.text}" for one in bad)
            outcomes[name] = Outcome("failed", text)
        elif skipped is not None:
            outcomes[name] = Outcome("skipped", str(skipped.get("message")))
        else:
            outcomes[name] = Outcome("passed")
    return outcomes
