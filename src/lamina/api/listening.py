"""The sockets a server listens on: unix, TCP with TLS, and those that systemd hands over.

Whoever may speak to the API may become root through it. So a unix socket is for its owner and one
group (0660), and TCP wants client certificates, but for loopback addresses.
"""

import errno
import fcntl
import grp
import ipaddress
import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import LaminaError

DEFAULT_GROUP = "docker"

_FIRST_FD = 3
_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_UNIX_PATH = 107
_PLAIN_PORT = 2375
_TLS_PORT = 2376


class CannotListen(LaminaError):
    """An address that cannot be listened on, or must not be; `address` is as it was given."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address


@dataclass(frozen=True)
class TlsFiles:
    """The files that TLS needs (PEM): who may sign clients; the server's certificate and key."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A server's context that demands a client certificate. Raises OSError, ssl.SSLError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["http/1.1"])
        return context


@dataclass(frozen=True)
class Listener:
    """A bound socket; `guarded` is True where web pages must be kept out (`Server.listen`)."""

    address: str
    socket: socket.socket
    tls: ssl.SSLContext | None = None
    guarded: bool = False
    path: Path | None = None
    """Where a unix socket lies that is ours to remove."""

    def remove(self) -> None:
        """Remove the socket's file, unless another daemon has put its own there since."""
        if self.path is None:
            return
        with _held(self.path.parent):
            if _answers(self.path) is False:
                self.path.unlink(missing_ok=True)


def open_listeners(
    hosts: Sequence[str],
    *,
    tls: TlsFiles | None = None,
    group: str | None = None,
    environ: Mapping[str, str],
) -> list[Listener]:
    """Bind every address: ``unix:///path``, ``tcp://host:port``, ``fd://``, ``fd://name-or-number``.

    `group` owns unix sockets: the group ``docker``, if there is one and we may, where it is None.
    `environ` is where systemd says what it hands over. Raises CannotListen, with nothing left open.
    """
    listeners: list[Listener] = []
    try:
        for host in hosts:
            listeners.extend(_open(host, tls, group, environ))
    except BaseException:
        for listener in listeners:
            listener.socket.close()
            listener.remove()
        raise
    return listeners


def _open(
    host: str, tls: TlsFiles | None, group: str | None, environ: Mapping[str, str]
) -> Iterator[Listener]:
    scheme, _, rest = host.partition("://")
    if scheme == "unix" and rest:
        yield _unix(host, Path(rest), group)
    elif scheme == "tcp":
        yield from _tcp(host, rest, tls)
    elif scheme == "fd":
        yield from _activated(host, rest, tls, environ)
    else:
        raise CannotListen(host, "expected unix:///path, tcp://host:port or fd://")


def _unix(host: str, path: Path, group: str | None) -> Listener:
    if not path.is_absolute():
        raise CannotListen(host, "the path must be absolute")
    if len(os.fsencode(path)) > _MAX_UNIX_PATH:
        raise CannotListen(host, f"the path is longer than {_MAX_UNIX_PATH} bytes")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path.parent):
            _clear_stale(host, path)
            # Nobody but us until owner and mode are what they shall be.
            umask = os.umask(0o177)
            try:
                sock.bind(str(path))
            finally:
                os.umask(umask)
            try:
                _give_to_group(host, path, group)
                path.chmod(0o660)
                # Before the lock is let go: who finds this socket then finds it answering.
                sock.listen()
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        sock.close()
        raise CannotListen(host, error.strerror or str(error)) from error
    except BaseException:
        sock.close()
        raise
    return Listener(f"unix://{path}", sock, path=path)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Keep other daemons from looking for, removing and binding sockets in `directory`."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _clear_stale(host: str, path: Path) -> None:
    """Remove a socket nobody answers on, such as a killed daemon leaves."""
    match _answers(path):
        case True:
            raise CannotListen(host, "another daemon answers there")
        case False:
            path.unlink(missing_ok=True)
        case None:
            if path.exists():
                raise CannotListen(host, "something that is no socket is in its place")


def _answers(path: Path) -> bool | None:
    """Whether somebody listens on the socket at `path`; None if there is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return None
    except FileNotFoundError:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            # Its backlog is full: it listens.
            return True
    return True


def _give_to_group(host: str, path: Path, group: str | None) -> None:
    try:
        group_name = group or DEFAULT_GROUP
        is_number = _NUMBER.fullmatch(group_name) is not None
        gid = int(group_name) if is_number else grp.getgrnam(group_name).gr_gid
    except KeyError:
        if group is None:
            return
        raise CannotListen(host, f"there is no group {group}") from None
    try:
        os.chown(path, -1, gid)
    except OSError as error:
        # The latter: a user namespace that does not have the group.
        if error.errno not in {errno.EPERM, errno.EINVAL}:
            raise
        if group is not None:
            raise CannotListen(host, f"not permitted to give it to group {group}") from None


def _tcp(host: str, rest: str, tls: TlsFiles | None) -> Iterator[Listener]:
    name, port = _host_and_port(host, rest, _TLS_PORT if tls else _PLAIN_PORT)
    try:
        found = socket.getaddrinfo(
            name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise CannotListen(host, error.strerror or str(error)) from error
    except UnicodeError as error:
        raise CannotListen(host, f"{name} is no name of a host") from error
    context = _context(host, tls)
    for family, _, _, _, address in found:
        if context is None:
            _only_loopback(host, str(address[0]))
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
        except OSError as error:
            sock.close()
            raise CannotListen(host, error.strerror or str(error)) from error
        yield Listener(_tcp_name(sock), sock, context, guarded=context is None)


def _host_and_port(host: str, rest: str, default: int) -> tuple[str, int]:
    name, colon, port = rest.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = rest, ""
    if port and not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise CannotListen(host, f"{port} is no port")
    return name.removeprefix("[").removesuffix("]"), int(port or default)


def _activated(
    host: str, wanted: str, tls: TlsFiles | None, environ: Mapping[str, str]
) -> Iterator[Listener]:
    """The sockets of systemd's protocol (sd_listen_fds(3)): all, or the one of a name or number."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or count == "0":
        raise CannotListen(host, "no sockets were handed over by systemd")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    taken = 0
    for number in range(int(count)):
        fd = _FIRST_FD + number
        name = names[number] if number < len(names) else ""
        if wanted not in {"", "*", str(fd), name}:
            continue
        taken += 1
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        sock = socket.socket(fileno=fd)
        if sock.family == socket.AF_UNIX:
            yield Listener(f"fd://{fd}", sock)
            continue
        context = _context(host, tls)
        if context is None:
            _only_loopback(host, str(sock.getsockname()[0]))
        yield Listener(_tcp_name(sock), sock, context, guarded=context is None)
    if not taken:
        raise CannotListen(host, f"systemd handed over no socket {wanted}")


def _context(host: str, tls: TlsFiles | None) -> ssl.SSLContext | None:
    try:
        return tls.context() if tls else None
    except (OSError, ssl.SSLError) as error:
        raise CannotListen(host, f"its TLS files cannot be used: {error}") from error


def _only_loopback(host: str, address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise CannotListen(
            host,
            "whoever can reach it could become root here; "
            "use --tlsverify, or a loopback address, or a unix socket",
        )


def _tcp_name(sock: socket.socket) -> str:
    name, port = sock.getsockname()[:2]
    return f"tcp://[{name}]:{port}" if ":" in name else f"tcp://{name}:{port}"
