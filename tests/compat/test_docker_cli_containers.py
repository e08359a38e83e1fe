"""What the docker client prints while it runs containers on dockerd and on Lamina."""

import io
import re
import signal
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lamina.oci.platform import host
from tests.compat.conftest import Clis
from tests.conformance.differences import modern_words
from tests.conformance.wire import assert_alike
from tests.given import gives, stories
from tests.real.docker_cli import DockerCli
from tests.real.images import tar_of
from tests.real.programs import require
from tests.real.terminal import Terminal

pytestmark = pytest.mark.usefixtures("with_busybox")

Step = tuple[str, ...]

IMAGE = "busybox:1"
RUN = ("run", "--rm", "--network=none")
DETACHED = ("run", "-d", "--network=none", "--name")

INPUT: Mapping[str, bytes] = {
    "hello": b"hello\n",
    "much": b"0123456789abcdef\n" * 60_000,
    "file": tar_of({"file": b"from a pipe\n"}),
}
"""What a step reads from its standard input: the word after `<`."""


def shell(*options: str, run: str) -> Step:
    return (*RUN, *options, IMAGE, "sh", "-c", run)


STORIES: dict[str, Sequence[Step]] = {
    "run": [
        (*RUN, IMAGE, "echo", "hello"),
        shell(run="echo out; echo err >&2; exit 3"),
        (*RUN, "-i", IMAGE, "cat", "<hello"),
        (*RUN, "-i", IMAGE, "wc", "-c", "<much"),
        (*RUN, "-i", IMAGE, "md5sum", "<much"),
        # Without -i it hears nothing.
        (*RUN, IMAGE, "cat", "<hello"),
        (*RUN, "-a", "stderr", IMAGE, "sh", "-c", "echo out; echo err >&2"),
        ("ps", "-aq"),
    ],
    "run what cannot be run": [
        (*RUN, IMAGE, "none"),
        (*RUN, IMAGE, "/none"),
        (*RUN, IMAGE, "/etc/passwd"),
        (*RUN, IMAGE, "/etc"),
        (*RUN, "--nonsense", IMAGE, "true"),
        (*RUN, "--pull=never", "none:1", "true"),
        (*RUN, "-u", "none", IMAGE, "true"),
        (*RUN, "--name", "-", IMAGE, "true"),
        (*RUN, "--memory=1k", IMAGE, "true"),
        ("ps", "-aq"),
    ],
    "a life": [
        ("create", "--network=none", "--name", "aa", IMAGE, "sleep", "1000"),
        ("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}}"),
        ("start", "aa"),
        ("ps", "--format", "{{.Names}} {{.State}}"),
        ("top", "aa", "-o", "args"),
        ("pause", "aa"),
        ("ps", "--filter", "status=paused", "--format", "{{.Names}}"),
        ("unpause", "aa"),
        ("rename", "aa", "bb"),
        ("exec", "bb", "hostname"),
        ("kill", "-s", "HUP", "bb"),
        ("kill", "bb"),
        ("wait", "bb"),
        ("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.Name}}", "bb"),
        ("restart", "-t", "0", "bb"),
        ("stop", "-t", "0", "bb"),
        ("port", "bb"),
        ("rm", "bb"),
        ("rm", "bb"),
    ],
    "output": [
        (*DETACHED, "aa", IMAGE, "sh", "-c", "echo one; echo two; echo three"),
        ("wait", "aa"),
        (*DETACHED, "bb", IMAGE, "sh", "-c", "echo out; echo err >&2"),
        ("wait", "bb"),
        ("logs", "bb"),
        ("logs", "aa"),
        ("logs", "--tail", "1", "aa"),
        ("logs", "-f", "aa"),
        ("logs", "--since", "1h", "aa"),
        ("logs", "--until", "1h", "aa"),
        ("attach", "aa"),
        ("start", "-a", "aa"),
        ("logs", "aa"),
        ("logs", "none"),
    ],
    "exec": [
        (*DETACHED, "aa", IMAGE, "sleep", "1000"),
        ("exec", "aa", "echo", "hello"),
        ("exec", "aa", "sh", "-c", "echo out; echo err >&2; exit 5"),
        ("exec", "-i", "aa", "cat", "<hello"),
        ("exec", "-i", "aa", "md5sum", "<much"),
        (
            "exec",
            "-e",
            "A=1",
            "-w",
            "/tmp",
            "-u",
            "nobody",
            "aa",
            "sh",
            "-c",
            "echo $A; pwd; id -u",
        ),
        ("exec", "-d", "aa", "touch", "/made"),
        ("exec", "none", "true"),
        ("exec", "aa", "none"),
        ("exec", "aa", "/etc/passwd"),
        ("exec", "-w", "/none", "aa", "true"),
        ("exec", "-u", "none", "aa", "true"),
        ("exec", "-d", "aa", "none"),
        ("kill", "aa"),
        ("exec", "aa", "true"),
    ],
    "files": [
        (*DETACHED, "aa", IMAGE, "sh", "-c", "echo x > /file; rm /etc/group; mkdir -p /d/e"),
        ("wait", "aa"),
        ("diff", "aa"),
        ("cp", "-", "aa:/tmp", "<file"),
        ("cp", "-", "aa:/none", "<file"),
        ("cp", "aa:/none", "/tmp"),
        ("commit", "-c", "CMD cat /tmp/file", "-m", "why", "-a", "who", "aa", "c:1"),
        (*RUN, "c:1"),
        ("history", "--format", "{{.CreatedBy}} {{.Comment}} {{.Size}}", "c:1"),
        ("image", "inspect", "-f", "{{json .Config.Cmd}} {{.Author}} {{.Comment}}", "c:1"),
        ("rmi", "busybox:1"),
        ("rm", "-v", "aa"),
    ],
    "commit": [
        (*DETACHED, "aa", IMAGE, "sh", "-c", "while :; do sleep 0.1; done"),
        ("commit", "aa", "c:1"),
        ("commit", "--pause=true", "aa", "c:2"),
        ("commit", "--pause=false", "aa", "c:3"),
        ("commit", "aa"),
        ("commit", "aa", "Bad"),
        ("commit", "none", "c:4"),
        ("commit", "-c", "RUN x", "aa", "c:4"),
        ("images", "--quiet", "c"),
        ("ps", "--format", "{{.Names}} {{.State}}"),
        ("rm", "-f", "aa"),
    ],
    "update": [
        ("create", "--network=none", "--name", "aa", IMAGE),
        ("update", "--memory", "64m", "aa"),
        ("update", "--memory", "64m", "--memory-swap", "128m", "aa"),
        ("update", "--memory", "100m", "aa"),
        ("update", "--memory", "256m", "aa"),
        ("update", "--cpus", "1", "aa"),
        ("update", "--cpu-period", "1000", "--cpus", "1", "aa"),
        ("update", "--cpu-quota", "1000", "--cpus", "1", "aa"),
        ("update", "--cpus", "9999", "aa"),
        ("update", "--memory", "1k", "aa"),
        ("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", "aa"),
        ("create", "--network=none", "--memory", "64m", "--name", "bb", IMAGE),
        ("update", "--memory", "100m", "bb"),
        ("update", "--memory", "200m", "bb"),
    ],
    "for a platform": [
        ("create", "--platform", str(host()), "--network=none", "--name", "aa", IMAGE),
        ("create", "--platform", "linux/s390x", "--network=none", "--pull=never", IMAGE),
        ("create", "--platform", "a b", "--network=none", IMAGE),
        ("ps", "-a", "--format", "{{.Names}}"),
    ],
    "prune": [
        ("create", "--network=none", "--name", "aa", IMAGE),
        (*DETACHED, "bb", IMAGE, "sleep", "1000"),
        ("container", "prune", "-f"),
        ("ps", "-a", "--format", "{{.Names}}"),
        ("rm", "bb"),
        ("rm", "-f", "bb"),
    ],
}

GIVES = {
    "files": [
        gives("image_commit", "container", "repo", "tag", "comment", "author", "changes"),
    ],
    "commit": [gives("image_commit", "container", "pause")],
}

OPTIONS: Sequence[Step] = [
    shell("-e", "A=1", "-w", "/tmp", run="echo $A; pwd"),
    shell("-u", "nobody", run="id -u; id -g; touch /x"),
    shell("-u", "5:7", run="id -u; id -g; id -G"),
    shell("-u", "5", "--group-add", "9", run="id -G"),
    shell("-h", "name", run="hostname; cat /etc/hostname"),
    shell("--entrypoint", "echo", run="x"),
    shell("--read-only", run="touch /x"),
    shell("--read-only", "--tmpfs", "/tmp:size=1m", run="touch /tmp/x && ls /tmp"),
    shell("--add-host", "there:1.2.3.4", run="grep there /etc/hosts"),
    shell("--memory", "32m", run="true"),
    shell("--cap-drop", "ALL", run="grep CapEff /proc/self/status"),
    shell("--cap-add", "NET_ADMIN", run="grep CapEff /proc/self/status"),
    shell("--ulimit", "nofile=64:128", run="ulimit -n; ulimit -Hn"),
    shell("--shm-size", "1m", run="df -k /dev/shm | tail -1 | awk '{print $2}'"),
    shell("-v", "/data", run="touch /data/x && ls /data"),
    shell("--pid", "host", run="test $$ -ne 1 && echo host"),
    shell("--security-opt", "no-new-privileges", run="grep NoNewPrivs /proc/self/status"),
    shell("-l", "a=b", run="true"),
    shell(run="ls /dev /proc/kcore /sys/firmware; cat /proc/keys"),
    ("ps", "-aq"),
]

_ID = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b")
_CREATED = re.compile("daemon: (?=failed to create shim task)")
_LATE = re.compile('time="[^"]*" level=error msg="error waiting for container: .*"\n')
"""What the old client prints beside a start that failed, unless the answer was too fast for it."""


def smooth(text: str) -> str:
    """Text without the IDs of containers and new images, in the words of today."""
    text = _LATE.sub("", _ID.sub("an ID", text))
    return _CREATED.sub("daemon: failed to create task for container: ", text)


def told(cli: DockerCli, steps: Sequence[Step]) -> list[tuple[str, str, str, int]]:
    """What a client prints, step by step."""
    answers = []
    for step in steps:
        words = [word for word in step if not word.startswith("<")]
        stdin = INPUT[step[-1][1:]] if len(words) < len(step) else None
        answer = cli.run(*words, stdin=stdin)
        text = smooth(answer.text)
        if words[0] == "diff":
            text = "\n".join(sorted(text.splitlines()))
        stderr = modern_words(smooth(answer.stderr))
        answers.append((" ".join(words), text, stderr, answer.status))
    return answers


@pytest.mark.parametrize("steps", stories(STORIES, GIVES))
def test_same_story(clis: Clis, steps: Sequence[Step]) -> None:
    docker, lamina = (told(cli, steps) for cli in clis)
    assert_alike(lamina, docker)


@pytest.mark.parametrize("program", [require("docker")], ids=["docker"])
def test_options_that_most_use(clis: Clis) -> None:
    docker, lamina = (told(cli, OPTIONS) for cli in clis)
    assert_alike(lamina, docker)


def test_cp_both_ways(clis: Clis, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below" / "file").write_bytes(b"content")
    (source / "link").symlink_to("below/file")
    (source / "program").write_bytes(b"#!/bin/sh\necho it runs\n")
    (source / "program").chmod(0o755)
    for number, cli in enumerate(clis):
        cli(*DETACHED, "aa", IMAGE, "sleep", "1000")
        cli("cp", str(source), "aa:/tmp")
        assert cli("exec", "aa", "/tmp/source/program") == "it runs\n"
        assert cli("exec", "aa", "readlink", "/tmp/source/link") == "below/file\n"
        back = tmp_path / str(number)
        cli("cp", "aa:/tmp/source/.", str(back))
        assert (back / "below" / "file").read_bytes() == b"content"
        assert (back / "link").readlink() == Path("below/file")
        cli("cp", "-L", "aa:/tmp/source/link", str(back / "followed"))
        assert (back / "followed").read_bytes() == b"content"


def test_headers_of_what_is_copied(clis: Clis) -> None:
    found = []
    for cli in clis:
        cli("create", "--network=none", "--name", "aa", IMAGE)
        heads = []
        for path in ("/bin/busybox", "/bin/sh", "/etc", "/etc/passwd", "/tmp"):
            head = cli.run("cp", f"aa:{path}", "-").stdout[:512]
            # Name, mode, owner, group and size; type and where a link leads.
            heads.append((head[:136], head[156:257]))
        heads.append((cli.run("export", "aa").stdout[100:108], b""))
        found.append(heads)
    docker, lamina = found
    assert lamina == docker


def test_export(clis: Clis) -> None:
    found = []
    for cli in clis:
        cli("create", "--network=none", "--name", "aa", IMAGE)
        answer = cli.run("export", "aa")
        assert (answer.status, answer.stderr) == (0, "")
        with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as tar:
            found.append(
                {m.name: (m.type, m.mode & 0o7777, m.uid, m.size, m.linkname) for m in tar}
            )
    docker, lamina = found
    assert lamina == docker


def test_logs_are_followed_to_the_end(clis: Clis) -> None:
    found = []
    for cli in clis:
        # It goes on when it is told to, and so surely while it is being followed.
        script = "echo one; while ! test -e /go; do sleep 0.05; done; echo two >&2; exit 3"
        cli(*DETACHED, "aa", IMAGE, "sh", "-c", script)
        argv = [cli.program, "logs", "--follow", "aa"]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment()
        ) as following:
            assert following.stdout is not None
            assert following.stdout.readline() == b"one\n"
            cli("exec", "aa", "touch", "/go")
            rest, errors = following.communicate(timeout=50)
        found.append((rest, errors, following.returncode))
    assert found == [(b"", b"two\n", 0)] * 2


def test_signals_reach_what_runs_in_the_foreground(clis: Clis) -> None:
    script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    for cli in clis:
        argv = [cli.program, *RUN, IMAGE, "sh", "-c", script]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=cli.environment()) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            running.send_signal(signal.SIGTERM)
            assert running.stdout.read() == b"caught\n"
            assert running.wait(50) == 7
        assert cli("ps", "-aq") == ""


def test_a_terminal(clis: Clis) -> None:
    for cli in clis:
        argv = [cli.program, *RUN, "-it", IMAGE, "sh"]
        with Terminal(argv, cli.environment(), rows=20, columns=70) as terminal:
            terminal.wait_for(b"# ")
            # The client may tell the size after the prompt has come; there is none before.
            terminal.type(b"test -t 0 && until stty size; do sleep 0.05; done\n")
            terminal.wait_for(b"20 70\r\n")
            terminal.type(b"until stty size | grep '30 90'; do echo; sleep 0.05; done\n")
            # The client begins to listen for new sizes some time after the prompt has come.
            while terminal.wait_for(b"\n") != b"30 90\r\n":
                terminal.resize(30, 90, signal=signal.SIGWINCH)
            terminal.type(b"exit 3\n")
            status, _ = terminal.wait()
        assert status == 3
        assert cli("ps", "-aq") == ""


def test_letting_go_of_a_terminal_and_taking_it_up_again(clis: Clis) -> None:
    for cli in clis:
        argv = [cli.program, "run", "--network=none", "--name=aa", "-it", IMAGE, "sh"]
        with Terminal(argv, cli.environment()) as terminal:
            terminal.wait_for(b"# ")
            terminal.type(b"\x10\x11")
            assert terminal.wait()[0] == 0
        assert cli("ps", "--format", "{{.Names}}") == "aa\n"
        with Terminal([cli.program, "attach", "aa"], cli.environment()) as terminal:
            terminal.type(b"\n")
            terminal.wait_for(b"# ")
            terminal.type(b"exit 4\n")
            assert terminal.wait()[0] == 4


def test_an_exec_on_a_terminal(clis: Clis) -> None:
    for cli in clis:
        cli(*DETACHED, "aa", IMAGE, "sleep", "1000")
        with Terminal([cli.program, "exec", "-it", "aa", "sh"], cli.environment()) as terminal:
            terminal.wait_for(b"# ")
            terminal.type(b"tty; exit 6\n")
            terminal.wait_for(b"/dev/pts/")
            assert terminal.wait()[0] == 6


def test_what_is_committed_on_lamina_runs_on_dockerd(clis: Clis) -> None:
    docker, lamina = clis
    script = "echo made >/made; rm -r /root; mkdir /root; ln /made /hard; chmod 600 /made"
    lamina(*DETACHED, "aa", IMAGE, "sh", "-c", script)
    lamina("wait", "aa")
    lamina("commit", "--change", "ENV A=1", "--change", "USER nobody", "aa", "made:1")
    look = ["sh", "-c", "stat -c '%a %h %U' /made /hard; ls -a /root; echo $A; id -un"]
    expected = lamina(*RUN, "made:1", *look)
    assert expected.endswith("1\nnobody\n")
    answer = lamina.run("save", "made:1")
    assert docker("load", stdin=answer.stdout) == "Loaded image: made:1\n"
    assert docker(*RUN, "made:1", *look) == expected


def test_what_is_committed_on_dockerd_runs_on_lamina(clis: Clis) -> None:
    docker, lamina = clis
    docker(*DETACHED, "aa", IMAGE, "sh", "-c", "echo made >/made; rm /etc/group")
    docker("wait", "aa")
    docker("commit", "aa", "made:2")
    lamina("load", stdin=docker.run("save", "made:2").stdout)
    assert lamina(*RUN, "made:2", "sh", "-c", "cat /made; ls /etc") == docker(
        *RUN, "made:2", "sh", "-c", "cat /made; ls /etc"
    )


_ENDPOINT = "{{range .NetworkSettings.Networks}}{{.NetworkID}} {{len .EndpointID}}{{end}}"


def test_what_a_container_is_in_its_network(clis: Clis) -> None:
    for cli in clis:
        network = cli("network", "inspect", "--format", "{{.Id}}", "none").strip()
        id = cli("create", "--network", "none", IMAGE, "sleep", "1000").strip()
        told = [cli("inspect", "--format", _ENDPOINT, id)]
        for verb in ("start", "kill"):
            cli(verb, id)
            told.append(cli("inspect", "--format", _ENDPOINT, id))
        assert told == [" 0\n", f"{network} 64\n", f"{network} 0\n"]
