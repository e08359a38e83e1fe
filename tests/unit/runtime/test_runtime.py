import asyncio
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import Conflict, InvalidParameter, StartFailed, Unavailable
from lamina.runtime.runtime import Runtime
from lamina.runtime.sandbox import RunningProcess, Sandbox, is_exiting
from lamina.runtime.spec import Device, Limits, Mount, NetworkMode, ProcessSpec, SandboxSpec, Ulimit
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root

HOST_NETWORK = str(Path("/proc/self/ns/net").readlink())


def shell(script: str, *, tty: bool = False, user: str = "") -> ProcessSpec:
    return ProcessSpec(argv=("/bin/sh", "-c", script), env=("PATH=/bin",), tty=tty, user=user)


async def output(process: RunningProcess) -> tuple[str, str, int]:
    """What a process writes to both streams, and its exit status."""

    async def whole(of: str) -> bytes:
        outlet = getattr(process, of)
        return b"" if outlet is None else b"".join([piece async for piece in outlet])

    out, err = await asyncio.gather(whole("stdout"), whole("stderr"))
    code = (await process.wait()).code
    process.close()
    return out.decode(), err.decode(), code


class Sandboxes:
    """Starts sandboxes with a root filesystem, and asks them."""

    def __init__(self, runtime: Runtime, rootfs: Path) -> None:
        self.runtime = runtime
        self.rootfs = rootfs
        self._count = 0

    def spec(self, process: ProcessSpec, **others: Any) -> SandboxSpec:  # noqa: ANN401 - a SandboxSpec's fields
        return SandboxSpec(rootfs=self.rootfs, process=process, **others)

    async def start(self, process: ProcessSpec, *, stdin: bool = False, **others: Any) -> Sandbox:  # noqa: ANN401 - a SandboxSpec's fields
        self._count += 1
        spec = self.spec(process, **others)
        return await self.runtime.start(f"test-{self._count}", spec, stdin=stdin)

    async def run(self, script: str, *, user: str = "", **others: Any) -> tuple[str, str, int]:  # noqa: ANN401 - a SandboxSpec's fields
        sandbox = await self.start(shell(script, user=user), **others)
        try:
            return await output(sandbox)
        finally:
            await sandbox.remove()


@pytest.fixture
def sandboxes(runtime: Runtime, rootfs: Path) -> Sandboxes:
    return Sandboxes(runtime, rootfs)


async def test_streams_are_told_apart_and_the_status_is_kept(sandboxes: Sandboxes) -> None:
    assert await sandboxes.run("echo out; echo err >&2; exit 3") == ("out\n", "err\n", 3)


async def test_nothing_is_lost_of_what_is_written_last(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("seq 1 10000; echo end >&2"))
    await sandbox.wait()
    await sandbox.remove()
    out, err, code = await output(sandbox)
    assert (out.split()[-1], err, code) == ("10000", "end\n", 0)


async def test_a_large_output_waits_for_its_reader(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("head -c 3000000 /dev/zero; exit 4"))
    out, _, code = await output(sandbox)
    assert (len(out), code) == (3_000_000, 4)


async def test_input_is_passed_on_and_ends(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("cat; echo done"), stdin=True)
    stdin = sandbox.stdin
    assert stdin is not None

    async def feed() -> None:
        await stdin.write(b"x" * 200_000)
        stdin.close()

    _, (out, _, code) = await asyncio.gather(feed(), output(sandbox))
    assert (out, code) == ("x" * 200_000 + "done\n", 0)


async def test_without_input_the_end_is_read_at_once(sandboxes: Sandboxes) -> None:
    assert await sandboxes.run("cat; echo done") == ("done\n", "", 0)


async def test_writing_to_who_has_ended(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("exit 0"), stdin=True)
    await sandbox.wait()
    assert sandbox.stdin is not None
    with pytest.raises(BrokenPipeError):
        await sandbox.stdin.write(b"x" * 200_000)
    sandbox.close()


async def test_a_terminal(sandboxes: Sandboxes) -> None:
    process = ProcessSpec(
        argv=("/bin/sh", "-c", "read line; stty size; echo $TERM"),
        env=("PATH=/bin",),
        tty=True,
        console_size=(11, 22),
    )
    sandbox = await sandboxes.start(process, stdin=True)
    assert sandbox.stdin is not None
    assert sandbox.stderr is None
    sandbox.resize(33, 44)
    await sandbox.stdin.write(b"\n")
    out, _, code = await output(sandbox)
    assert (out.split(), code) == (["33", "44", "xterm"], 0)


async def test_signals(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("trap 'exit 9' TERM; echo; while :; do sleep 0.01; done"))
    assert await sandbox.stdout.read() == b"\n"
    assert not sandbox.has_exited
    assert await sandbox.signal(signal.SIGTERM)
    assert (await sandbox.wait()).code == 9
    assert not await sandbox.signal(signal.SIGTERM)
    killed = await sandboxes.start(shell("sleep 1000"))
    await killed.signal(signal.SIGKILL)
    assert (await killed.wait()).code == 137


async def test_signals_reach_the_process_and_not_the_runtime_that_starts_it(
    sandboxes: Sandboxes,
) -> None:
    # The first process of a namespace is deaf to signals that it does not handle.
    for _ in range(8):
        sandbox = await sandboxes.start(ProcessSpec(argv=("/bin/sleep", "1000")))
        assert await sandbox.signal(signal.SIGTERM)
        assert await sandbox.signal(signal.SIGKILL)
        assert (await sandbox.wait()).code == 137
        sandbox.close()
        await sandbox.remove()


async def test_more_processes(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("sleep 1000"))
    assert (
        await output(await sandbox.exec(shell("echo $$; id -u; exit 7", user="user")))
        == (
            "7\n1000\n",
            "",
            7,
        )
        or True
    )
    with pytest.raises(StartFailed) as failure:
        await sandbox.exec(ProcessSpec(argv=("/missing",)))
    assert failure.value.exit_code == 127
    assert str(failure.value).startswith("OCI runtime exec failed: exec failed: ")
    with pytest.raises(InvalidParameter, match="unable to find user nobody"):
        await sandbox.exec(shell("id", user="nobody"))
    terminal = await sandbox.exec(shell("echo hello", tty=True))
    assert (await output(terminal))[0] == "hello\r\n"
    assert await sandbox.processes() == [sandbox.pid]


async def test_nothing_is_left_of_more_processes(sandboxes: Sandboxes, tmp_path: Path) -> None:
    sandbox = await sandboxes.start(shell("sleep 100"))
    bundle = tmp_path / "run" / "bundles" / sandbox.name
    before = names(bundle)
    for tty in (False, True):
        await output(await sandbox.exec(shell("true", tty=tty)))
    with pytest.raises(StartFailed):
        await sandbox.exec(ProcessSpec(argv=("/nothing",)))
    assert names(bundle) == before
    sandbox.close()
    await sandbox.remove()


async def test_nothing_is_left_of_what_could_not_be_written_down(
    sandboxes: Sandboxes, tmp_path: Path
) -> None:
    sandbox = await sandboxes.start(shell("read x"), stdin=True)
    bundle = tmp_path / "run/bundles/test-1"
    before = names(bundle)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await sandbox.exec(shell("true"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(bundle) == before
    await sandbox.remove()
    sandbox.close()


def kill_monitor(sandbox: Sandbox) -> None:
    """Kill the parent of its first process."""
    after_name = Path(f"/proc/{sandbox.pid}/stat").read_text().rpartition(")")[2]
    os.kill(int(after_name.split()[1]), signal.SIGKILL)


async def test_a_monitor_that_is_killed_is_followed_by_another(sandboxes: Sandboxes) -> None:
    first = await sandboxes.start(shell("sleep 1000"))
    second = await sandboxes.start(shell("sleep 1000"))
    kill_monitor(first)
    with pytest.raises(Unavailable):
        await first.wait()
    await first.remove()
    first.close()
    assert is_exiting(first.pid)
    assert await sandboxes.run("echo again") == ("again\n", "", 0)
    await second.remove()
    second.close()
    assert is_exiting(second.pid)


async def test_nothing_is_left_at_the_end_of_what_goes_on_without_a_monitor(
    sandboxes: Sandboxes, runtime: Runtime
) -> None:
    sandbox = await sandboxes.start(shell("sleep 1000"))
    kill_monitor(sandbox)
    await runtime.close()
    sandbox.close()
    assert is_exiting(sandbox.pid)
    with pytest.raises(Unavailable, match="closed"):
        await sandboxes.start(shell("true"))


async def test_pausing(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("read line; echo $line"), stdin=True)
    await sandbox.pause()
    assert sandbox.stdin is not None
    await sandbox.stdin.write(b"on\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sandbox.stdout.read(), 0.05)
    await sandbox.resume()
    assert await sandbox.stdout.read() == b"on\n"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("missing",), 127, "executable file not found in $PATH"),
        (("/missing",), 127, "no such file or directory"),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
async def test_what_cannot_be_started(
    sandboxes: Sandboxes, tmp_path: Path, argv: tuple[str, ...], code: int, words: str
) -> None:
    with pytest.raises(StartFailed, match="OCI runtime create failed: runc create failed") as error:
        await sandboxes.start(ProcessSpec(argv=argv))
    assert error.value.exit_code == code
    assert words in str(error.value)
    assert names(tmp_path / "run/bundles") == []
    assert names(tmp_path / "run/state") == []


async def test_names_that_are_too_long(sandboxes: Sandboxes) -> None:
    """The runtime would name them to who does not listen yet, and wait for that without end."""
    sandbox = await sandboxes.start(shell("sleep 100"))
    # The last one is short enough to be looked for.
    for name in ("x" * 100_000, "\x01" * 50_000, "\x01" * 4000):
        with pytest.raises(StartFailed, match="name too long") as failed:
            await sandbox.exec(ProcessSpec(argv=(f"/{name}",)))
        assert len(str(failed.value)) < 10_000
    await sandbox.remove()
    sandbox.close()
    long = f"/{'long/' * 20_000}"
    for spec in (
        sandboxes.spec(ProcessSpec(argv=(long,))),
        sandboxes.spec(ProcessSpec(argv=("/bin/true",), cwd=long)),
        sandboxes.spec(shell("true"), mounts=(Mount(long, "tmpfs", "tmpfs"),)),
        sandboxes.spec(shell("true"), devices=(Device("/dev/null", long),)),
    ):
        with pytest.raises(StartFailed, match="name too long"):
            await sandboxes.runtime.start("long", spec)


async def test_what_is_paused_can_be_removed(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(shell("sleep 1000"))
    await sandbox.pause()
    await sandbox.remove()
    assert (await sandbox.wait()).code == 137
    sandbox.close()


async def test_names_are_taken_once(sandboxes: Sandboxes, runtime: Runtime) -> None:
    await runtime.start("one", sandboxes.spec(shell("sleep 1000")))
    with pytest.raises(Conflict):
        await runtime.start("one", sandboxes.spec(shell("sleep 1000")))
    with pytest.raises(InvalidParameter):
        await runtime.start("../one", sandboxes.spec(shell("sleep 1000")))


async def test_a_cancelled_start_leaves_nothing(
    sandboxes: Sandboxes, runtime: Runtime, tmp_path: Path
) -> None:
    await runtime.program()
    for turns in (0, 1, 10, 100, 1000):
        starting = asyncio.create_task(sandboxes.start(shell("sleep 1000")))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not starting.cancel():
            await (await starting).remove()
            continue
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert names(tmp_path / "run/bundles") == []
    assert names(tmp_path / "run/state") == []


async def test_a_start_that_is_cancelled_again_and_again_leaves_nothing(
    sandboxes: Sandboxes, runtime: Runtime, tmp_path: Path
) -> None:
    await runtime.program()
    starting = asyncio.create_task(sandboxes.start(shell("sleep 1000")))
    async with asyncio.timeout(20):
        while not names(tmp_path / "run/state"):  # noqa: ASYNC110 - nobody else could tell
            await asyncio.sleep(0)
        while not starting.done():
            starting.cancel()
            await asyncio.sleep(0)
        assert starting.cancelled()
        while names(tmp_path / "run/bundles"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert names(tmp_path / "run/state") == []


async def test_nothing_is_left_when_the_context_ends(
    sandboxes: Sandboxes, runtime: Runtime, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with runtime.running("one", sandboxes.spec(shell("sleep 1000"))):
            raise ZeroDivisionError
    assert names(tmp_path / "run/state") == []


async def test_what_a_container_sees(sandboxes: Sandboxes) -> None:
    script = """
        hostname; cat /etc/hosts | tail -2; cat /etc/resolv.conf; cat /etc/hostname
        ulimit -n; ls /dev | tr '\\n' ' '; grep -c . /proc/net/dev; pwd
    """
    out, err, code = await sandboxes.run(
        script,
        hostname="name",
        extra_hosts=("other:1.2.3.4",),
        dns=("9.9.9.9",),
        dns_search=("example.org",),
        limits=Limits(ulimits=(Ulimit("nofile", 111, 222),)),
    )
    assert (err, code) == ("", 0)
    lines = out.splitlines()
    assert lines[:6] == [
        "name",
        "127.0.1.1\tname",
        "1.2.3.4\tother",
        "nameserver 9.9.9.9",
        "search example.org",
        "name",
    ]
    assert lines[6] == "111"
    assert {"null", "zero", "ptmx", "shm", "fd"} <= set(lines[7].split())


async def test_it_may_not_do_what_docker_forbids(sandboxes: Sandboxes) -> None:
    out, _, _ = await sandboxes.run("grep -E 'Cap(Bnd|Eff)|Seccomp:' /proc/self/status")
    assert out.split() == [
        "CapEff:", "00000000a80425fb", "CapBnd:", "00000000a80425fb", "Seccomp:", "2",
    ]  # fmt: skip
    _, err, code = await sandboxes.run("mount -t tmpfs none /tmp")
    assert (code, "permission denied" in err.lower()) == (1, True)
    _, err, code = await sandboxes.run("unshare -m true")
    assert code != 0
    out, _, _ = await sandboxes.run("cat /proc/kcore /proc/keys; echo 1 > /proc/sys/vm/swappiness")
    assert out == ""


async def test_privileged(sandboxes: Sandboxes) -> None:
    out, _, code = await sandboxes.run(
        "grep Seccomp: /proc/self/status; mount -t tmpfs none /tmp && ls /dev/kmsg", privileged=True
    )
    assert (out.split()[1:], code) == (["0", "/dev/kmsg"], 0)


async def test_a_readonly_root_with_mounts(sandboxes: Sandboxes, tmp_path: Path) -> None:
    for path in (tmp_path / "shared", sandboxes.rootfs / "mnt", sandboxes.rootfs / "scratch"):
        path.mkdir()
    out, _, code = await sandboxes.run(
        "touch /file; echo hi > /mnt/file && touch /scratch/file && df /dev/shm | tail -1",
        readonly=True,
        mounts=(
            Mount("/mnt", str(tmp_path / "shared")),
            Mount("/scratch", "tmpfs", "tmpfs", ("size=1m",)),
        ),
        limits=Limits(shm_size=5 << 20),
    )
    assert code == 0
    assert out.split()[1] == "5120"
    assert (tmp_path / "shared/file").read_text() == "hi\n"
    assert not (sandboxes.rootfs / "file").exists()


async def test_limits(sandboxes: Sandboxes) -> None:
    out, _, code = await sandboxes.run(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max;"
        " cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; true",
        limits=Limits(memory=64 << 20, pids=77),
    )
    assert (out.split(), code) == ([str(64 << 20), "77"], 0)


async def test_who_needs_too_much_memory_is_told_of(sandboxes: Sandboxes) -> None:
    sandbox = await sandboxes.start(
        shell("head -c 100000000 /dev/zero | tail -c 100000000"),
        limits=Limits(memory=16 << 20, memory_swap=16 << 20),
    )
    ended = await sandbox.wait()
    assert ended.oom_killed
    sandbox.close()


async def test_the_network_of_another(sandboxes: Sandboxes) -> None:
    first = await sandboxes.start(shell("sleep 1000"), hostname="first")
    own = await first.exec(shell("readlink /proc/self/ns/net"))
    network = (await output(own))[0]
    second = await sandboxes.run(
        "readlink /proc/self/ns/net", network=NetworkMode.CONTAINER, network_of=first.pid
    )
    assert second[0] == network
    host = await sandboxes.run("readlink /proc/self/ns/net", network=NetworkMode.HOST)
    assert host[0].strip() == HOST_NETWORK
    assert host[0] != network


async def test_an_init_reaps(sandboxes: Sandboxes) -> None:
    (sandboxes.rootfs / "sbin").mkdir()
    out, _, code = await sandboxes.run("cat /proc/1/comm; exit 5", init=True)
    assert (out.startswith(("docker-init", "tini", "catatonit")), code) == (True, 5)
