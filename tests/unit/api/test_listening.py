import grp
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.api.listening import CannotListen, Listener, TlsFiles, open_listeners
from tests.real.certificates import Authority


def opened(*hosts: str, **options: object) -> list[Listener]:
    listeners = open_listeners(hosts, environ={}, **options)  # type: ignore[arg-type]
    for listener in listeners:
        listener.socket.listen()
    return listeners


def close(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.socket.close()
        listener.remove()


def test_a_unix_socket_is_for_its_owner_and_one_group(socket_directory: Path) -> None:
    path = socket_directory / "deep" / "s"
    (listener,) = opened(f"unix://{path}", group=str(os.getgid()))
    status = path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_gid == os.getgid()
    assert (listener.address, listener.tls, listener.guarded) == (f"unix://{path}", None, False)
    close([listener])
    assert not path.exists()


def test_the_group_docker_owns_it_if_there_is_one(socket_directory: Path) -> None:
    try:
        gid = grp.getgrnam("docker").gr_gid
    except KeyError:
        gid = os.getgid()
    if gid not in {os.getgid(), *os.getgroups()} and os.getuid() != 0:
        gid = os.getgid()
    listeners = opened(f"unix://{socket_directory / 's'}")
    assert (socket_directory / "s").stat().st_gid == gid
    close(listeners)


@pytest.mark.parametrize("group", ["nonesuch", "²", "9" * 20])
def test_a_group_that_does_not_exist(socket_directory: Path, group: str) -> None:
    with pytest.raises(CannotListen, match=f"there is no group {group}"):
        opened(f"unix://{socket_directory / 's'}", group=group)
    assert list(socket_directory.iterdir()) == []


def test_a_group_that_a_user_namespace_does_not_have(socket_directory: Path) -> None:
    code = (
        "import sys; from lamina.api.listening import open_listeners;"
        " open_listeners([sys.argv[1]], environ={});"
        " open_listeners([sys.argv[2]], environ={}, group='54321')"
    )
    hosts = [f"unix://{socket_directory / name}" for name in ("docker's", "s")]
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code, *hosts]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stderr.endswith(f"{hosts[1]}: not permitted to give it to group 54321\n")


def test_a_stale_socket_gives_way(socket_directory: Path) -> None:
    path = socket_directory / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    listeners = opened(f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    close(listeners)


def test_a_socket_that_answers_does_not(socket_directory: Path) -> None:
    path = socket_directory / "s"
    first = opened(f"unix://{path}")
    with pytest.raises(CannotListen, match="another daemon answers there") as caught:
        opened(f"unix://{path}")
    assert caught.value.address == f"unix://{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    close(first)


def test_what_is_no_socket_does_not_give_way(socket_directory: Path) -> None:
    path = socket_directory / "s"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="something that is no socket"):
        opened(f"unix://{path}")
    assert path.read_text() == "precious"


def test_another_daemons_socket_is_not_removed(socket_directory: Path) -> None:
    path = socket_directory / "s"
    (first,) = opened(f"unix://{path}")
    path.unlink()
    second = opened(f"unix://{path}")
    close([first])
    assert path.exists()
    close(second)
    assert not path.exists()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix://relative", "absolute"),
        ("unix:///" + "x" * 120, "longer than 107 bytes"),
        ("unix://", "expected"),
        ("http://localhost:1", "expected"),
        ("/run/x", "expected"),
        ("tcp://localhost:99999", "99999 is no port"),
        ("tcp://a..b:1", "a..b is no name of a host"),
        ("tcp://localhost:http", "http is no port"),
        ("tcp://0.0.0.0:0", "could become root"),
        ("tcp://:0", "could become root"),
        ("fd://", "no sockets were handed over"),
    ],
)
def test_addresses_that_cannot_be(host: str, reason: str) -> None:
    with pytest.raises(CannotListen, match=reason) as caught:
        opened(host)
    assert caught.value.address == host


def test_nothing_stays_open_when_one_address_fails(socket_directory: Path) -> None:
    path = socket_directory / "s"
    with pytest.raises(CannotListen, match="could become root"):
        opened(f"unix://{path}", "tcp://0.0.0.0:0")
    assert not path.exists()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_plain_tcp_is_for_this_machine(name: str) -> None:
    listeners = opened(f"tcp://{name}:0")
    for listener in listeners:
        assert listener.guarded
        assert listener.tls is None
        assert listener.address.startswith(("tcp://127.", "tcp://[::1]:"))
    close(listeners)


def test_a_port_that_is_taken() -> None:
    first = opened("tcp://127.0.0.1:0")
    with pytest.raises(CannotListen, match="in use"):
        opened(first[0].address)
    close(first)


def test_tls_opens_tcp_to_everybody(authority: Authority) -> None:
    tls = TlsFiles(authority.ca, authority.server_certificate, authority.server_key)
    listeners = opened("tcp://0.0.0.0:0", tls=tls)
    assert all(listener.tls is not None and not listener.guarded for listener in listeners)
    close(listeners)


def test_tls_without_its_files(socket_directory: Path) -> None:
    missing = socket_directory / "missing"
    with pytest.raises(CannotListen, match="TLS files cannot be used"):
        opened("tcp://127.0.0.1:0", tls=TlsFiles(missing, missing, missing))


ACTIVATED = """
import os, socket, sys
from lamina.api.listening import CannotListen, open_listeners
environ = dict(os.environ, LISTEN_PID=str(os.getpid()))
try:
    listeners = open_listeners(sys.argv[1:], environ=environ)
except CannotListen as error:
    print(error)
else:
    for listener in listeners:
        print(listener.address, listener.guarded, os.get_inheritable(listener.socket.fileno()))
"""


def activated(*hosts: str, sockets: list[socket.socket], names: str) -> list[str]:
    """What a process finds that gets `sockets` as systemd would hand them over."""
    # systemd's descriptors are 3 and up; the shell puts them there.
    moves = " ".join(f"{3 + n}<&{sock.fileno()}" for n, sock in enumerate(sockets))
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {moves}', sys.executable, "-c", ACTIVATED, *hosts],
        env={
            **os.environ,
            "LISTEN_FDS": str(len(sockets)),
            "LISTEN_FDNAMES": names,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        pass_fds=[sock.fileno() for sock in sockets],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_sockets_from_systemd(socket_directory: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX) as unix,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.create_server(("0.0.0.0", 0)) as open_to_all,
    ):
        unix.bind(str(socket_directory / "s"))
        unix.listen()
        port = tcp.getsockname()[1]
        both = ["fd://3 False False", f"tcp://127.0.0.1:{port} True False"]
        assert activated("fd://", sockets=[unix, tcp], names="a:b") == both
        assert activated("fd://a", sockets=[unix, tcp], names="a:b") == both[:1]
        assert activated("fd://4", sockets=[unix, tcp], names="a:b") == both[1:]
        (error,) = activated("fd://c", sockets=[unix, tcp], names="a:b")
        assert error == "cannot listen on fd://c: systemd handed over no socket c"
        (error,) = activated("fd://", sockets=[open_to_all], names="x")
        assert "could become root" in error
    # What systemd made is not ours to remove.
    assert (socket_directory / "s").exists()
