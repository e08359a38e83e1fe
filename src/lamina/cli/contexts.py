"""Which engine is meant: options, DOCKER_HOST and its kin, and the contexts of the docker client.

The order is the docker client's: ``--host``, ``--context``, DOCKER_HOST, DOCKER_CONTEXT, the
context that ``docker context use`` chose, and last the machine's own socket. The context named
``default`` is DOCKER_HOST or that socket. A context's files lie in the docker client's directory:
``contexts/meta/<sha256 of its name>/meta.json`` and ``contexts/tls/<same>/docker/``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lamina.client.tls import TLSFiles
from lamina.errors import InvalidParameter

DEFAULT_HOST = "unix:///var/run/docker.sock"
_DEFAULT = "default"
_MAX_FILE = 1 << 20
_TLS_ROLES = ("ca", "cert", "key")


@dataclass(frozen=True, slots=True)
class TLSOptions:
    """The ``--tls…`` options, each None or False where it was not given."""

    tls: bool = False
    tlsverify: bool = False
    tlscacert: Path | None = None
    tlscert: Path | None = None
    tlskey: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine to talk to, and the name of the context that it came from."""

    host: str
    tls: TLSFiles | None = None
    context: str = _DEFAULT


def find_endpoint(
    environ: Mapping[str, str],
    *,
    host: str | None = None,
    context: str | None = None,
    tls: TLSOptions | None = None,
) -> Endpoint:
    """The engine that is meant. Raises InvalidParameter (contradictions, bad contexts)."""
    tls = tls or TLSOptions()
    if host and context:
        raise InvalidParameter("conflicting options: cannot specify both --host and --context")
    config = config_directory(environ)
    name = _DEFAULT if host else context or _context_of(environ, config)
    if name != _DEFAULT:
        return _read_context(config, name)
    return Endpoint(
        host or environ.get("DOCKER_HOST") or DEFAULT_HOST, _tls_files(environ, config, tls)
    )


def config_directory(environ: Mapping[str, str]) -> Path:
    """Where the docker client keeps its configuration."""
    given = environ.get("DOCKER_CONFIG")
    return Path(given) if given else Path(environ.get("HOME") or "/") / ".docker"


def context_names(environ: Mapping[str, str]) -> list[str]:
    """The contexts there are; those which cannot be read are left out."""
    names = {_DEFAULT}
    for meta in (config_directory(environ) / "contexts" / "meta").glob("*/meta.json"):
        try:
            names.add(str(_read_json(meta).get("Name", "")))
        except (OSError, InvalidParameter):
            continue
    return sorted(names - {""})


def _context_of(environ: Mapping[str, str], config: Path) -> str:
    if environ.get("DOCKER_HOST"):
        return _DEFAULT
    if name := environ.get("DOCKER_CONTEXT"):
        return name
    try:
        return str(_read_json(config / "config.json").get("currentContext") or _DEFAULT)
    except OSError:
        return _DEFAULT


def _read_context(config: Path, name: str) -> Endpoint:
    key = hashlib.sha256(name.encode()).hexdigest()
    path = config / "contexts" / "meta" / key / "meta.json"
    try:
        meta = _read_json(path)
    except FileNotFoundError as error:
        raise InvalidParameter(f'context "{name}": context not found: {error}') from error
    endpoints = meta.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = endpoint.get("Host") if isinstance(endpoint, dict) else None
    if not isinstance(endpoint, dict) or not isinstance(host, str) or not host:
        raise InvalidParameter(f'context "{name}" has no docker endpoint')
    directory = config / "contexts" / "tls" / key / "docker"
    files = {role: file for role in _TLS_ROLES if (file := directory / f"{role}.pem").is_file()}
    verify = endpoint.get("SkipTLSVerify") is not True
    tls = None
    if files or not verify:
        tls = TLSFiles(
            ca=files.get("ca"), cert=files.get("cert"), key=files.get("key"), verify=verify
        )
    return Endpoint(host, tls, name)


def _tls_files(environ: Mapping[str, str], config: Path, options: TLSOptions) -> TLSFiles | None:
    verify = options.tlsverify or bool(environ.get("DOCKER_TLS_VERIFY"))
    named = options.tlscacert or options.tlscert or options.tlskey
    if not (verify or options.tls or environ.get("DOCKER_TLS") or named):
        return None
    given = environ.get("DOCKER_CERT_PATH")
    directory = Path(given) if given else config
    return TLSFiles(
        ca=options.tlscacert or directory / "ca.pem",
        cert=options.tlscert or _if_there(directory / "cert.pem"),
        key=options.tlskey or _if_there(directory / "key.pem"),
        verify=verify,
    )


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _read_json(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(_MAX_FILE + 1)
    if len(text) > _MAX_FILE:
        raise InvalidParameter(f"{path} is too large")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {error}") from error
