"""The daemon's configuration, and the file it is read from.

Configuration file
==================

TOML, or JSON if the name ends in ``.json`` (dockerd's ``daemon.json`` is one that works). A key's
value counts unless the same is given on the command line.

``root`` (or ``data-root``)
    Directory of images and all other state. Default: ``/var/lib/lamina``; for others than root
    ``$XDG_DATA_HOME/lamina``.
``hosts``
    List of addresses to listen on: ``unix:///path``, ``tcp://host:port``, ``fd://`` (sockets from
    systemd; ``fd://name`` for one of them). Default: ``unix:///run/lamina.sock``; for others than
    root ``unix://$XDG_RUNTIME_DIR/lamina.sock``.
``group``
    Group that owns unix sockets, by name or number. Default: ``docker``, if there is one.
``tlsverify``, ``tlscacert``, ``tlscert``, ``tlskey``
    true, and the files (PEM) of the authority that signs clients, of the server's certificate and
    of its key: TCP addresses speak TLS and ask clients for a certificate. Without it they must be
    loopback.
``log-level``
    ``debug``, ``info`` (default; a line per request), ``warn`` or ``error``.
``log-format``
    ``logfmt`` (default; ``text`` is the same) or ``json``.
``debug``
    true is ``log-level = "debug"``.
``shutdown-timeout``
    Seconds for which requests may go on when the daemon is told to stop, and containers have to end
    by themselves. Default: 15.

``insecure-registries``
    List of registries (``host:port``) and networks (CIDR) whose certificates are not checked, and
    which may be spoken to without TLS. Loopback always may.
``registry-mirrors``
    List of URLs that are asked before Docker Hub when images are pulled.
``mirrors``
    The same for any registry: a table from its name to a list of URLs; ``*`` is every registry
    that has no mirrors of its own.
``registry-certificates``
    List of directories with certificates of registries, in docker's or containerd's layout.
    Default: ``/etc/docker/certs.d`` and ``/etc/containerd/certs.d``.
``max-concurrent-downloads``, ``max-concurrent-uploads``
    How many layers move at a time. Default: 3 and 5.
``max-download-attempts``
    How often a broken connection is tried. Default: 5.
``proxies``
    Table with ``http-proxy``, ``https-proxy`` and ``no-proxy``. Default: the environment's.
``layer-compression``
    ``gzip`` (default) or ``zstd``: what layers are pushed in that are here uncompressed.
``builder``
    Table as dockerd has it: ``gc.defaultKeepStorage`` (``10GB``, ``512MB``, bytes) is what the
    contents of cache mounts may take when a build has ended, unless ``gc.enabled`` is false;
    ``entitlements.security-insecure`` allows ``RUN --security=insecure``.
``snapshot-driver``
    How root filesystems are kept: ``overlay``, ``overlay-userns`` or ``native``. Default: the
    first that works.
``runtime``
    The OCI runtime, by name or path. Default: the first of runc, crun and youki that works.
``network-driver``
    The way out of containers' own networks: ``slirp4netns``, ``pasta`` or ``cni``. Default:
    the first that works.
``search-index``
    URL that is searched for images of Docker Hub. Default: ``https://index.docker.io``.
``experimental``
    true says to clients that dockerd's experiments are here, without which docker's own offers no
    ``build --squash``; nothing else changes by it.

Keys of dockerd's that concern what Lamina does not have (`IGNORED_KEYS`) are logged and ignored;
any other key is an error.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lamina.api.access_log import LogFormat
from lamina.api.listening import TlsFiles
from lamina.default_root import default_root
from lamina.errors import InvalidParameter
from lamina.runtime.networks.choice import DRIVERS as NETWORK_DRIVERS
from lamina.snapshots.choice import DRIVERS
from lamina.units import parse_size

LogLevel = Literal["debug", "info", "warn", "error"]
LayerCompression = Literal["gzip", "zstd"]

IGNORED_KEYS = frozenset(
    {
        "api-cors-header",
        "authorization-plugins",
        "bip",
        "bridge",
        "cgroup-parent",
        "containerd",
        "containerd-namespace",
        "containerd-plugins-namespace",
        "default-address-pools",
        "default-cgroupns-mode",
        "default-gateway",
        "default-gateway-v6",
        "default-ipc-mode",
        "default-network-opts",
        "default-runtime",
        "default-shm-size",
        "default-ulimits",
        "dns",
        "dns-opts",
        "dns-search",
        "exec-opts",
        "exec-root",
        "features",
        "fixed-cidr",
        "fixed-cidr-v6",
        "host-gateway-ip",
        "icc",
        "init",
        "init-path",
        "ip",
        "ip-forward",
        "ip-masq",
        "ip6tables",
        "iptables",
        "ipv6",
        "labels",
        "live-restore",
        "log-driver",
        "log-opts",
        "metrics-addr",
        "mtu",
        "no-new-privileges",
        "node-generic-resources",
        "oom-score-adjust",
        "pidfile",
        "raw-logs",
        "runtimes",
        "seccomp-profile",
        "selinux-enabled",
        "storage-driver",
        "storage-opts",
        "swarm-default-advertise-addr",
        "userland-proxy",
        "userland-proxy-path",
        "userns-remap",
    }
)
"""Keys of dockerd's configuration that mean nothing here."""
PROXY_KEYS = ("http-proxy", "https-proxy", "no-proxy")
_LONGEST = 1e9
"""Seconds: some thirty years."""
LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warn", "error")


class InvalidConfig(InvalidParameter):
    """A configuration that cannot be; `key` is the key at fault, empty if it is the whole file."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, kw_only=True)
class BuilderConfig:
    """The table ``builder``: `keep_storage` in bytes, None without a limit."""

    keep_storage: int | None = None
    insecure: bool = False


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """What a daemon is told: the file's keys, and in `ignored` those that have no effect."""

    root: Path | None = None
    hosts: tuple[str, ...] = ()
    group: str | None = None
    tlsverify: bool = False
    tlscacert: Path | None = None
    tlscert: Path | None = None
    tlskey: Path | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "logfmt"
    shutdown_timeout: float = 15.0
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    registry_certificates: tuple[Path, ...] = (
        Path("/etc/docker/certs.d"),
        Path("/etc/containerd/certs.d"),
    )
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    proxies: Mapping[str, str] = field(default_factory=dict)
    layer_compression: LayerCompression = "gzip"
    builder: BuilderConfig = BuilderConfig()
    snapshot_driver: str | None = None
    runtime: str | None = None
    network_driver: str | None = None
    search_index: str = "https://index.docker.io"
    experimental: bool = False
    ignored: tuple[str, ...] = ()

    def with_options(self, options: Mapping[str, Any]) -> "DaemonConfig":
        """This configuration, but for what the command line gave: all that is not empty."""
        empty = (None, False, ())
        return replace(
            self,
            **{
                name: value
                for name, value in options.items()
                if not any(value is nothing for nothing in empty)
            },
        )

    def resolved(self, environ: Mapping[str, str], *, uid: int) -> "DaemonConfig":
        """This configuration with a user's defaults.

        Raises InvalidConfig if TLS lacks a file, and for seconds that never pass.
        """
        if not _is_span(self.shutdown_timeout):
            raise InvalidConfig(
                "shutdown-timeout: expected a number of seconds", key="shutdown-timeout"
            )
        runtime = Path((environ.get("XDG_RUNTIME_DIR") if uid else "") or "/run")
        if self.tlsverify:
            for key in ("tlscacert", "tlscert", "tlskey"):
                if getattr(self, key) is None:
                    raise InvalidConfig(f"tlsverify needs {key}", key=key)
        return replace(
            self,
            root=(self.root or default_root(environ, uid=uid)).absolute(),
            hosts=self.hosts or (f"unix://{runtime / 'lamina.sock'}",),
        )

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS, None without it."""
        if not self.tlsverify or not (self.tlscacert and self.tlscert and self.tlskey):
            return None
        return TlsFiles(self.tlscacert, self.tlscert, self.tlskey)


def read_config(path: Path) -> DaemonConfig:
    """The configuration in a file. Raises OSError, and InvalidConfig naming the key at fault."""
    try:
        with path.open("rb") as file:
            values = json.load(file) if path.suffix == ".json" else tomllib.load(file)
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise InvalidConfig(f"{path}: expected a table of keys and values")
    fields: dict[str, Any] = {}
    ignored = []
    for key, value in values.items():
        if key in IGNORED_KEYS:
            ignored.append(key)
        elif (reader := KEYS.get(key)) is None:
            raise InvalidConfig(f"{path}: there is no configuration key {key}", key=key)
        else:
            try:
                name, parse = reader
                fields[name] = parse(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise InvalidConfig(f"{path}: {key}: {error}", key=key) from error
    if fields.pop("debug", False):
        fields["log_level"] = "debug"
    return DaemonConfig(**fields, ignored=tuple(ignored))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("expected a string")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("expected a list of strings")
    return tuple(_text(item) for item in value)


def _path(value: object) -> Path:
    return Path(_text(value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("expected true or false")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not _is_span(value):
        raise TypeError("expected a number of seconds")
    return float(value)


def _is_span(seconds: float) -> bool:
    """Whether it is a time that passes; NaN is none."""
    return 0 <= seconds <= _LONGEST


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise TypeError("expected a number above 0")
    return value


def _web_address(value: object) -> str:
    text = _text(value)
    url = urlsplit(text)
    # The port is looked at when it is asked for.
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("expected an http or https URL")
    return text


def _paths(value: object) -> tuple[Path, ...]:
    return tuple(Path(text) for text in _texts(value))


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("expected a table")
    return value


def _mirrors(value: object) -> Mapping[str, tuple[str, ...]]:
    return {name: _texts(urls) for name, urls in _table(value).items()}


def _proxies(value: object) -> Mapping[str, str]:
    table = _table(value)
    for name in table:
        if name not in PROXY_KEYS:
            raise ValueError(f"expected {', '.join(PROXY_KEYS)}, not {name}")
    return {name: _text(text) for name, text in table.items()}


def _compression(value: object) -> str:
    if value not in ("gzip", "zstd"):
        raise ValueError("expected gzip or zstd")
    return str(value)


def _driver(value: object) -> str:
    return _one_of(value, DRIVERS)


def _network_driver(value: object) -> str:
    return _one_of(value, NETWORK_DRIVERS)


def _one_of(value: object, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return str(value)


def _builder(value: object) -> BuilderConfig:
    table = _known(value, "gc", "entitlements")
    gc = _known(table.get("gc", {}), "enabled", "defaultKeepStorage")
    entitlements = _known(table.get("entitlements", {}), "network-host", "security-insecure")
    limit = None
    if "defaultKeepStorage" in gc and _flag(gc.get("enabled", True)):
        limit = _size(gc["defaultKeepStorage"])
    return BuilderConfig(
        keep_storage=limit, insecure=_flag(entitlements.get("security-insecure", False))
    )


def _known(value: object, *names: str) -> Mapping[str, object]:
    table = _table(value)
    for name in table:
        if name not in names:
            raise ValueError(f"expected {', '.join(names)}, not {name}")
    return table


def _size(value: object) -> int:
    """Bytes, as a number or as ``10GB``; units are powers of 1024, as dockerd reads them."""
    try:
        return parse_size(str(value).strip())
    except ValueError:
        raise ValueError("expected a size such as 10GB") from None


def _level(value: object) -> str:
    if value not in LOG_LEVELS:
        raise ValueError(f"expected one of {', '.join(LOG_LEVELS)}")
    return str(value)


def _format(value: object) -> str:
    if value == "text":
        return "logfmt"
    if value not in ("logfmt", "json"):
        raise ValueError("expected logfmt or json")
    return str(value)


KEYS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "root": ("root", _path),
    "data-root": ("root", _path),
    "hosts": ("hosts", _texts),
    "group": ("group", _text),
    "tlsverify": ("tlsverify", _flag),
    "tlscacert": ("tlscacert", _path),
    "tlscert": ("tlscert", _path),
    "tlskey": ("tlskey", _path),
    "log-level": ("log_level", _level),
    "log-format": ("log_format", _format),
    "debug": ("debug", _flag),
    "shutdown-timeout": ("shutdown_timeout", _seconds),
    "insecure-registries": ("insecure_registries", _texts),
    "registry-mirrors": ("registry_mirrors", _texts),
    "mirrors": ("mirrors", _mirrors),
    "registry-certificates": ("registry_certificates", _paths),
    "max-concurrent-downloads": ("max_concurrent_downloads", _count),
    "max-concurrent-uploads": ("max_concurrent_uploads", _count),
    "max-download-attempts": ("max_download_attempts", _count),
    "proxies": ("proxies", _proxies),
    "layer-compression": ("layer_compression", _compression),
    "builder": ("builder", _builder),
    "snapshot-driver": ("snapshot_driver", _driver),
    "runtime": ("runtime", _text),
    "network-driver": ("network_driver", _network_driver),
    "search-index": ("search_index", _web_address),
    "experimental": ("experimental", _flag),
}
"""Each key, the field it is kept in, and what reads its value."""
