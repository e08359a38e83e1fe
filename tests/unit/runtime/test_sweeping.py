import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from lamina.runtime.sweeping import discard, sweep_runtimes
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root

_ENGINE = """
import asyncio, sys
from pathlib import Path
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import ProcessSpec, SandboxSpec

async def main():
    runtime = Runtime(Path(sys.argv[1]))
    spec = SandboxSpec(
        rootfs=Path(sys.argv[2]), process=ProcessSpec(argv=("/bin/sleep", "1000"))
    )
    for number in range(2):
        sandbox = await runtime.start(f"left-{sys.argv[3]}-{number}", spec)
        print(sandbox.pid, flush=True)
    print(runtime._supervisor._process.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def cgroups(prefix: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"**/lamina/{prefix}*"))


async def killed_engine(directory: Path, rootfs: Path, *, with_monitor: bool) -> list[int]:
    """The processes of two sandboxes whose engine was killed, perhaps with its monitor."""
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ENGINE, str(directory), str(rootfs), directory.name,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert engine.stdout is not None
    *pids, monitor = [int(await engine.stdout.readline()) for _ in range(3)]
    engine.kill()
    if with_monitor:
        os.kill(monitor, signal.SIGKILL)
    await engine.wait()
    return pids


async def test_nothing_is_left_of_a_killed_engine(tmp_path: Path, rootfs: Path) -> None:
    parent = tmp_path / "run"
    for name, with_monitor in (("engine", False), ("engine-and-monitor", True)):
        directory = parent / name
        directory.mkdir(parents=True)
        pids = await killed_engine(directory, rootfs, with_monitor=with_monitor)
        await sweep_runtimes(parent, keep=())
        assert names(parent) == []
        assert not any(is_running(pid) for pid in pids)
        assert cgroups(f"left-{name}-") == []


async def test_what_others_are_at_is_removed_too(tmp_path: Path) -> None:
    place = tmp_path / "bundle" / "command"
    place.mkdir(parents=True)

    def make() -> None:
        with suppress(FileNotFoundError):
            for number in range(20_000):
                (place / str(number)).touch()

    def clean() -> None:
        with suppress(FileNotFoundError):
            for path in place.iterdir():
                path.unlink(missing_ok=True)

    discarding = asyncio.to_thread(discard, tmp_path, "bundle")
    await asyncio.gather(asyncio.to_thread(make), asyncio.to_thread(clean), discarding)
    assert names(tmp_path) == []


async def test_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "dead").mkdir()
    await sweep_runtimes(tmp_path, keep=("mine",))
    assert names(tmp_path) == ["mine"]
    await sweep_runtimes(tmp_path / "missing", keep=())
