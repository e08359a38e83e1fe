"""What is sent of a build context: entry by entry what the docker client sends."""

import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.conftest import LaminaCli
from tests.real.docker_cli import DockerCli
from tests.real.images import write_tree

Asked = tuple[dict[str, list[str]], bytes]
"""The parameters and the body of a request."""

Ask = Callable[..., list[Asked]]

ANSWER = b'{"aux":{"ID":"sha256:%s"}}\n' % (b"0" * 64)


class Recorder:
    """An engine that keeps what it is asked to build, and builds nothing."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(b"")

            def do_GET(self) -> None:
                self._answer(b"{}")

            def do_POST(self) -> None:
                body = b"".join(self._chunks())
                recorder.asked.append((parse_qs(urlsplit(self.path).query), body))
                self._answer(ANSWER)

            def _chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Api-Version", "1.42")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"tcp://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever)
    thread.start()
    yield recorder
    recorder.server.shutdown()
    thread.join()
    recorder.server.server_close()


@pytest.fixture
def ask(recorder: Recorder, docker_cli: Callable[[str], DockerCli], lamina: LaminaCli) -> Ask:
    """Ask for a build as docker does and as we do; what each sent."""
    docker = replace(docker_cli(recorder.host), env={"DOCKER_BUILDKIT": "0", "HERE": "h"})
    ours = LaminaCli(lamina.home, {"DOCKER_HOST": recorder.host, "HERE": "h"})

    def both(*args: str, stdin: bytes | None = None) -> list[Asked]:
        recorder.asked.clear()
        docker("build", "-q", *args, stdin=stdin)
        ours("build", "-q", *args, stdin=stdin)
        return list(recorder.asked)

    return both


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = write_tree(
        {
            "Dockerfile": b"FROM scratch\n",
            "other/Dockerfile": b"FROM other\n",
            "a": b"a" * 3_000_000,
            "a-b": b"",
            "d/x.o": b"x",
            "d/keep.o": b"keep",
            "d/e/f": b"f",
            "é": b"accent",
            "n" * 120: b"long name",
            "p" * 90 + "/" + "q" * 90: b"long path",
        },
        tmp_path / "context",
    )
    (root / "run").write_bytes(b"#!/bin/sh\n")
    (root / "run").chmod(0o6751)
    (root / "sticky").mkdir(mode=0o777)
    (root / "sticky").chmod(0o1777)
    (root / "linked").hardlink_to(root / "run")
    (root / "d" / "out").symlink_to("../../no//where/")
    (root / "d" / "twice").symlink_to("x.o")
    os.link(root / "d" / "twice", root / "d" / "twice2", follow_symlinks=False)
    os.mkfifo(root / "fifo")
    with (root / "sparse").open("wb") as file:
        file.truncate(1_000_001)
    with socket.socket(socket.AF_UNIX) as unix:
        # A socket's path is short; the directory's may not be.
        at = os.open(root, os.O_RDONLY)
        unix.bind(f"/proc/self/fd/{at}/socket")
        os.close(at)
    os.utime(root / "a", ns=(0, 1_234_567_890_987_654_321))
    os.utime(root / "a-b", ns=(0, -1_500_000_000))
    if os.geteuid() == 0:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(root / "block", stat.S_IFBLK | 0o600, os.makedev(7, 300))
        os.chown(root / "d" / "e", 1234, 5678)
        os.setxattr(root / "a", "user.kept", b"no")
        raised = bytes.fromhex("0100000200200000000000000000000000000000")
        os.setxattr(root / "run", "security.capability", raised)
    return root


def entries(data: bytes) -> list[dict[str, object]]:
    """Everything that the entries of a tar say, with their content."""
    # Where docker adds a Dockerfile it leaves the end of the archive out.
    with tarfile.open(fileobj=io.BytesIO(data + bytes(2048))) as tar:
        return [
            {
                **member.get_info(),
                "content": file.read()
                if member.isreg() and (file := tar.extractfile(member))
                else b"",
                "pax": member.pax_headers,
            }
            for member in tar.getmembers()
        ]


@pytest.mark.parametrize(
    "ignore",
    [
        None,
        "*.o\n**/*.o\n!**/keep.o\n",
        "*\n",
        "*\n!d/e\n",
        "# all but one\n/d\n!d/keep.o\n",
        "Dockerfile\n.dockerignore\np*\nother",
        "./d/\nn*\n?\n[e-p]*\n",
        "\ufeffd\n  \n!\\d/keep.o\n",
    ],
)
def test_entries(
    ask: Ask,
    directory: Path,
    ignore: str | None,
) -> None:
    if ignore is not None:
        (directory / ".dockerignore").write_text(ignore)
    for options in ((), ("-f", str(directory / "other" / "Dockerfile"))):
        (_, expected), (_, got) = ask(*options, str(directory))
        assert entries(got) == entries(expected)


@pytest.mark.parametrize("ignore", [None, "d\n*.o"])
@pytest.mark.parametrize("is_piped", [False, True])
def test_a_dockerfile_from_elsewhere(
    ask: Ask,
    directory: Path,
    ignore: str | None,
    is_piped: bool,  # noqa: FBT001
) -> None:
    if ignore is not None:
        (directory / ".dockerignore").write_text(ignore)
    outside = directory.parent / "Outside"
    outside.write_text("FROM outside\n")
    where = "-" if is_piped else str(outside)
    sent = []
    for params, data in ask("-f", where, str(directory), stdin=b"FROM stdin\n"):
        (name,) = params["dockerfile"]
        found = {str(entry["name"]).replace(name, "NAME"): entry for entry in entries(data)}
        # Docker adds what the directory does not have in any order, now.
        for entry in found.values():
            entry["content"] = bytes(entry["content"]).replace(name.encode(), b"NAME")  # type: ignore[call-overload]
            entry["name"] = ""
        for added in ("NAME", ".dockerignore"):
            found[added] = {
                key: found[added][key] for key in ("content", "mode", "uid", "gid", "type", "size")
            }
        # How long the name is, is nobody's business.
        found[".dockerignore"]["size"] = 0
        sent.append(found)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("name", ["a", "d"])
def test_what_may_not_be_read(lamina: LaminaCli, tmp_path: Path, name: str) -> None:
    root = write_tree({"Dockerfile": b"FROM scratch\n", "a": b"a", "d/b": b"b"}, tmp_path / "c")
    (root / name).chmod(0)
    argv = [sys.executable, "-m", "lamina", "build", "--root", str(tmp_path / "root"), str(root)]
    if os.geteuid() == 0:
        # Even root may read only what is its own, without these.
        argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *argv]
    environ = lamina.environment()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environ)
    (root / name).chmod(0o700)
    reason = "no permission to read from" if name == "a" else "can't stat"
    assert done.stderr == f"Error: error checking context: {reason} '{root / name}'\n"
    assert done.returncode == 1


def test_through_a_pipe(ask: Ask, directory: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(directory / "other", "other")
    data = archive.getvalue()
    (told, expected), (also, got) = ask("-f", "other/Dockerfile", "-", stdin=data)
    assert told["dockerfile"] == also["dockerfile"] == ["other/Dockerfile"]
    assert got == expected == data
    (told, expected), (also, got) = ask("-", stdin=b"FROM alone\n")
    assert told["dockerfile"] == also["dockerfile"] == ["Dockerfile"]
    assert [one["content"] for one in entries(got)] == [one["content"] for one in entries(expected)]


def read(params: dict[str, list[str]]) -> dict[str, list[object]]:
    """Parameters, with the documents that some of them are."""
    return {
        key: [json.loads(value) if value[0] in "{[" else value for value in values]
        for key, values in params.items()
    }


def test_parameters(ask: Ask, directory: Path) -> None:
    options = (
        "-t a:1 -t b --build-arg HERE --build-arg GONE --build-arg X=y=z --label k --label k=v"
        " --add-host a:1.2.3.4 --add-host b=::1 --memory 64m --memory-swap -1 --cpu-shares 7"
        " --cpu-period 10000 --cpu-quota 5000 --cpuset-cpus 0-1 --cpuset-mems 0 --shm-size 1.5g"
        " --ulimit nofile=10:20 --cgroup-parent /x --network host --no-cache --pull"
        " --cache-from c --cache-from d:1 --target t --force-rm --platform linux/arm64"
    )
    (expected, _), (got, _) = ask(*options.split(), str(directory))
    # Docker says which builder it means, and what is the default anyway.
    for key in ("version", "rm"):
        expected.pop(key, None)
    assert read(got) == read(expected)


def test_proxies(ask: Ask, recorder: Recorder, directory: Path, tmp_path: Path) -> None:
    of_all = {"httpProxy": "http://p:1", "httpsProxy": "http://p:2", "noProxy": "n", "ftpProxy": ""}
    of_one = {"ftpProxy": "f", "allProxy": "a"}
    options = ("--build-arg", "HTTP_PROXY=mine", "--build-arg", "no_proxy", "--build-arg", "X=y")
    for proxies in ({"default": of_all}, {"default": of_all, recorder.host: of_one}):
        for config in ("docker-config", ".docker"):
            (tmp_path / config).mkdir(exist_ok=True)
            (tmp_path / config / "config.json").write_text(json.dumps({"proxies": proxies}))
        for given in ((), options):
            (expected, _), (got, _) = ask(*given, str(directory))
            assert json.loads(got["buildargs"][0]) == json.loads(expected["buildargs"][0])
