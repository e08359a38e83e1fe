"""The docker client over TLS, where ending one's own direction is an alert and no end of file."""

import socket
from collections.abc import Callable
from pathlib import Path

from tests.real.archives import docker_archive
from tests.real.certificates import Authority
from tests.real.docker_cli import DockerCli
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import lamina_daemon


def test_input_ends_and_output_goes_on(
    authority: Authority, docker_cli: Callable[[str], DockerCli], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [
        *("-H", f"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", str(authority.ca)),
        *("--tlscert", str(authority.server_certificate), "--tlskey", str(authority.server_key)),
    ]
    with lamina_daemon(options=options):
        plain = docker_cli(f"tcp://127.0.0.1:{port}")
        tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(authority.directory)}
        cli = DockerCli(plain.host, tmp_path, env=tls)
        archive = tar_of(docker_archive((busybox_image(), ["busybox:1"])))
        assert cli("load", stdin=archive) == "Loaded image: busybox:1\n"
        # Its end comes after everything that was said has been heard, and a while later.
        run = ["run", "--rm", "-i", "--network=none", "busybox:1", "sh", "-c"]
        for said in (b"hello\n", b"x" * 1_000_000):
            answer = cli.run(*run, "cat; usleep 200000; echo; echo end; exit 3", stdin=said)
            assert (answer.status, answer.stderr) == (3, "")
            assert answer.stdout == said + b"\nend\n"
