"""Reads ``certs.d``: docker's layout (*.crt, *.cert and *.key) and containerd's (hosts.toml).

Each host has a directory named ``host[:port]``; containerd also knows ``host_port_`` and, for a
hosts.toml, ``_default``. They are read anew for every registry that is first met, so that a
certificate put there later needs no restart.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.errors import InvalidParameter
from lamina.registry import hosts_toml
from lamina.registry.hosts import ClientCertificate, Endpoint, HostFiles, Tls, split_host

_LARGEST_FILE = 1 << 20


def read(directories: Sequence[Path], host: str) -> HostFiles:
    """What the directories hold for one host or registry. Raises InvalidParameter, OSError."""
    authorities: list[Path] = []
    clients: list[ClientCertificate] = []
    endpoints: tuple[Endpoint, ...] = ()
    for root in directories:
        for name in _directory_names(host):
            directory = root / name
            hosts_file = directory / "hosts.toml"
            if hosts_file.is_file():
                # That file names the keys it wants: what else lies there means nothing.
                text = _read_text(hosts_file)
                endpoints = endpoints or hosts_toml.parse(text, registry=host, directory=directory)
            elif name != "_default" and directory.is_dir():
                _read_docker_layout(directory, authorities, clients)
    tls = Tls(authorities=tuple(authorities), clients=tuple(clients))
    return HostFiles(tls=tls, endpoints=endpoints)


def _directory_names(host: str) -> Iterable[str]:
    # A name that is not a plain file name is not looked for: hosts come from users' references.
    if "/" in host or host in {"", ".", ".."}:
        return
    yield host
    name, port = split_host(host)
    if port is not None:
        yield f"{name}_{port}_"
    yield "_default"


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise InvalidParameter(f"{path} is larger than {_LARGEST_FILE} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"failed to parse {path}: {error}") from error


def _read_docker_layout(
    directory: Path, authorities: list[Path], clients: list[ClientCertificate]
) -> None:
    files = {path.name: path for path in sorted(directory.iterdir())}
    for name, path in files.items():
        if name.endswith(".crt"):
            authorities.append(path)
        elif name.endswith(".cert"):
            key = name.removesuffix(".cert") + ".key"
            if key not in files:
                raise InvalidParameter(
                    f"missing key {key} for client certificate {name}. "
                    "CA certificates must use the extension .crt"
                )
            clients.append(ClientCertificate(path, files[key]))
        elif name.endswith(".key") and name.removesuffix(".key") + ".cert" not in files:
            raise InvalidParameter(
                f"missing client certificate {name.removesuffix('.key')}.cert for key {name}"
            )
