"""The bridge of an engine's root, made by CNI plugins for whoever is on it. For worker threads.

::

    DIRECTORY                 locked by who changes anything of it, and by a plugin that is at it
    DIRECTORY/network.json    its name and its subnet
    DIRECTORY/attached/ID     who is on it, or was when its engine was killed
    DIRECTORY/addresses/      who has which address, as the plugin host-local keeps it

All processes that use a root share its bridge. It goes with the last that is on it, and with it
the rules of the firewall and what is in the directory. It is named after the directory, so that
roots do not get in each other's way.
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Final

from lamina.errors import Unavailable
from lamina.runtime.hostfiles import host_resolver
from lamina.runtime.networks.firewall import let_out, let_out_no_more
from lamina.runtime.networks.network import Endpoint
from lamina.runtime.networks.plugins import Plugins
from lamina.runtime.networks.subnets import (
    default_device,
    free_subnets,
    host_routes,
    is_free,
    name_servers,
)

__all__ = ["Bridge"]

_SIOCSIFFLAGS: Final = 0x8914
_SIOCBRDELBR: Final = 0x89A1
_USUAL_MTU: Final = 1500
_LOCK_SECONDS: Final = 60
_LOCK_INTERVAL: Final = 0.01


class Bridge:
    """Kept in a directory that is made when it is needed."""

    def __init__(self, directory: Path, plugins: Plugins) -> None:
        self._directory = directory
        self._plugins = plugins
        self._version = ""
        self.name: Final = f"lamina-{sha256(os.fsencode(directory)).hexdigest()[:8]}"
        """What it is called, unless it was made when the directory was found by another path."""

    def check(self) -> None:
        """Tell whether the plugins are of use. Unavailable."""
        self._version = self._version or self._plugins.version()

    def attach(self, id: str, namespace: str) -> Endpoint:
        """Put a namespace on it, by its path, under an ID that is new. Unavailable, OSError.

        The ID is ``PROCESS-…``, after the engine's process.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked() as lock:
            mark = self._marks / id
            self._marks.mkdir(mode=0o700, exist_ok=True)
            mark.touch()
            try:
                return self._attach(id, namespace, lock)
            except BaseException:
                with suppress(Unavailable, OSError):
                    self._detach(id, namespace, lock)
                    self._remove_unused()
                raise

    def detach(self, id: str, namespace: str) -> None:
        """Take it off again. Unavailable, OSError; what is left then goes with a `sweep`."""
        with self._locked() as lock:
            self._detach(id, namespace, lock)
            self._remove_unused()

    def sweep(self, living: Callable[[], Collection[str]]) -> None:
        """Take off what engines have left that are gone; `living` names those that are not.

        Unavailable, OSError.
        """
        with self._locked() as lock:
            marks = sorted(self._marks.iterdir()) if self._marks.is_dir() else []
            keep = living()
            for mark in marks:
                if mark.name.partition("-")[0] not in keep:
                    self._detach(mark.name, "", lock)
            self._remove_unused()

    @property
    def _marks(self) -> Path:
        return self._directory / "attached"

    @property
    def _settings(self) -> Path:
        return self._directory / "network.json"

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Lock the directory; the lock's descriptor. Unavailable."""
        lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        deadline = time.monotonic() + _LOCK_SECONDS
        try:
            while not _is_locked(lock):
                if time.monotonic() > deadline:
                    raise Unavailable(f"the network in {self._directory} stays locked")
                time.sleep(_LOCK_INTERVAL)
            yield lock
        finally:
            os.close(lock)

    def _attach(self, id: str, namespace: str, lock: int) -> Endpoint:
        known = self._known()
        for made in (known,) if known is not None else self._possible():
            result = self._plugins.add(self._config(made), id, namespace, keep=lock)
            # Who has chosen at the same time, for another root, may have chosen the same.
            if known is not None or is_free(made.subnet, host_routes(), but=made.name):
                let_out(self._plugins.iptables, made.name, str(made.subnet))
                return _endpoint(result)
            self._detach(id, namespace, lock)
            self._remove_unused()
            self._marks.mkdir(mode=0o700)
            (self._marks / id).touch()
        raise Unavailable("the host has routes to all networks that a bridge could have")

    def _detach(self, id: str, namespace: str, lock: int) -> None:
        if (known := self._known()) is not None:
            self._plugins.delete(self._config(known), id, namespace, keep=lock)
        (self._marks / id).unlink(missing_ok=True)

    def _possible(self) -> "Iterator[_Made]":
        """What the bridge could be, each recorded before it is used."""
        servers = name_servers(host_resolver())
        for subnet in free_subnets(self.name, host_routes(), servers):
            made = _Made(self.name, subnet)
            new = self._settings.with_suffix(".new")
            new.write_text(json.dumps({"bridge": made.name, "subnet": str(subnet)}))
            new.rename(self._settings)
            yield made

    def _known(self) -> "_Made | None":
        """What the bridge is, if there is one.

        The record may be broken after a power failure, which has taken the bridge as well.
        """
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            record = json.loads(self._settings.read_bytes())
            return _Made(str(record["bridge"]), IPv4Network(record["subnet"]))
        return None

    def _remove_unused(self) -> None:
        """Remove the bridge, and all that is kept of it, if nobody is on it."""
        if self._marks.is_dir() and any(self._marks.iterdir()):
            return
        if (known := self._known()) is not None:
            let_out_no_more(self._plugins.iptables, known.name, str(known.subnet))
            _remove_bridge(known.name)
        for path in self._directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _config(self, made: "_Made") -> dict[str, Any]:
        self.check()
        return {
            "cniVersion": self._version,
            "name": made.name,
            "type": "bridge",
            "bridge": made.name,
            "isDefaultGateway": True,
            "mtu": _mtu(),
            "ipam": {
                "type": "host-local",
                "dataDir": str(self._directory / "addresses"),
                "ranges": [[{"subnet": str(made.subnet)}]],
            },
        }


@dataclass(frozen=True, slots=True)
class _Made:
    """A bridge that was made, or is to be."""

    name: str
    subnet: IPv4Network


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _endpoint(result: dict[str, Any]) -> Endpoint:
    """What the plugin bridge tells of it. Unavailable."""
    try:
        (address,) = result["ips"]
        interface = IPv4Interface(address["address"])
        inside = [each for each in result["interfaces"] if each.get("sandbox")]
        return Endpoint(
            address=str(interface.ip),
            prefix=interface.network.prefixlen,
            gateway=address["gateway"],
            mac=inside[0].get("mac", ""),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unavailable(f"the CNI plugin bridge answers without sense: {result}") from error


def _mtu() -> int:
    """How large packets may be that leave the host."""
    with suppress(OSError, ValueError):
        return int(Path("/sys/class/net", default_device(host_routes()), "mtu").read_text())
    return _USUAL_MTU


def _remove_bridge(name: str) -> None:
    """Remove a bridge with all its ports, if it is there. OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", name.encode(), 0)
        try:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
            fcntl.ioctl(any_socket, _SIOCBRDELBR, request)
        except OSError as error:
            if error.errno not in {errno.ENODEV, errno.ENXIO}:
                raise
