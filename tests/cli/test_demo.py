"""`make demo`, as a stranger would run it."""

import os
import subprocess
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/demo"


def test_the_demo() -> None:
    # Not pytest's own directory: a unix socket's path must stay below 108 bytes.
    with tempfile.TemporaryDirectory(prefix="demo-") as temporary:
        done = subprocess.run(
            [SCRIPT],
            env={**os.environ, "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for shown in (
            "Loaded image: busybox:latest\n",
            "Successfully tagged hello:latest\n",
            "\nHello from a container, built on Linux ",
            "\nA /tmp/note\n",
            " in 3 layers, 0B of them wasted\n",
            "\nA /bin/greet\nA /etc/built-on\n",
        ):
            assert shown in done.stdout
        assert list(Path(temporary).iterdir()) == []
        assert temporary not in Path("/proc/self/mountinfo").read_text()
        # What the daemon started may outlive it by a moment; pytest's timeout is the limit.
        while any(temporary in arguments for arguments in running()):
            pass


def running() -> list[str]:
    """The arguments of every process."""
    ps = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return ps.stdout.splitlines()
