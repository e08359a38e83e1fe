"""What the options of ``lamina build`` say, in the forms that docker's own client takes."""

import ipaddress
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from lamina.build.outputs import CALLER, csv_fields, parse_output
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput, Ulimit
from lamina.units import parse_size

_ULIMIT: Final = re.compile(r"([a-z]+)=(-?\d{1,19})(?::(-?\d{1,19}))?", re.ASCII)
_ULIMITS: Final = frozenset(
    {
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"),
        *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
    }
)
_MAX_SECRET: Final = 500 << 10
_ARCHIVES: Final = frozenset({"oci", "tar"})
"""Outputs that go to stdout where nothing is said."""


def size(text: str, flag: str, *, unlimited: bool = False) -> int:
    """Bytes, as ``64m``; 0 for nothing. `unlimited`: -1 means that there is no limit.

    Raises InvalidParameter.
    """
    if not text:
        return 0
    if unlimited and text == "-1":
        return -1
    try:
        return parse_size(text)
    except ValueError as error:
        raise InvalidParameter(f'invalid argument "{text}" for "{flag}" flag: {error}') from error


def build_arguments(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str | None]:
    """``KEY=VALUE``; a ``KEY`` alone takes the environment's value, None where it has none."""
    arguments: dict[str, str | None] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key:
            raise InvalidParameter(f"invalid environment variable: {text}")
        arguments[key] = value if equals else environ.get(key)
    return arguments


def labels(texts: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE``, or ``KEY`` for an empty value."""
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def extra_hosts(texts: Iterable[str]) -> list[str]:
    """``HOST:IP`` or ``HOST=IP``, as an engine takes them. Raises InvalidParameter."""
    hosts = []
    for text in texts:
        name, separator, address = text.partition("=" if "=" in text else ":")
        if not (name and separator):
            raise InvalidParameter(f'bad format for add-host: "{text}"')
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        if address != "host-gateway":
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from error
        hosts.append(f"{name}:{address}")
    return hosts


def ulimits(texts: Iterable[str]) -> list[Ulimit]:
    """``NAME=SOFT[:HARD]``. Raises InvalidParameter."""
    found: dict[str, Ulimit] = {}
    for text in texts:
        match = _ULIMIT.fullmatch(text)
        if match is None:
            raise InvalidParameter(f"invalid ulimit argument: {text}")
        if match[1] not in _ULIMITS:
            raise InvalidParameter(f"invalid ulimit type: {match[1]}")
        soft = int(match[2])
        hard = soft if match[3] is None else int(match[3])
        if max(abs(soft), abs(hard)) >= 1 << 63:
            raise InvalidParameter(f"ulimit is out of range: {text}")
        if hard != -1 and (soft > hard or soft == -1):
            raise InvalidParameter(
                f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )
        found[match[1]] = Ulimit(name=match[1], soft=soft, hard=hard)
    return list(found.values())


def secrets(
    texts: Iterable[str], environ: Mapping[str, str]
) -> dict[str, bytes | os.PathLike[str]]:
    """``id=ID[,src=FILE|,env=NAME]``: a file, or a variable; without either what is called ID.

    Raises InvalidParameter for what is malformed, missing or too large.
    """
    found: dict[str, bytes | os.PathLike[str]] = {}
    for text in texts:
        fields = csv_fields(text, "secret")
        kind = fields.pop("type", "")
        if kind not in ("", "file", "env"):
            raise InvalidParameter(f"unsupported secret type {kind}")
        id, file, variable = _secret_fields(fields)
        if kind == "env" and not variable:
            file, variable = "", file
        if not (file or variable):
            file, variable = ("", id) if id in environ else (id, "")
        found[id] = _variable(variable, environ) if variable else _secret_file(Path(file))
    return found


def _secret_fields(fields: dict[str, str]) -> tuple[str, str, str]:
    id, file, variable = fields.pop("id", ""), fields.pop("src", ""), fields.pop("env", "")
    file = fields.pop("source", file)
    if fields:
        raise InvalidParameter(f"unexpected key '{next(iter(fields))}' in secret")
    if not id:
        raise InvalidParameter("secret missing ID")
    return id, file, variable


def _variable(name: str, environ: Mapping[str, str]) -> bytes:
    if name not in environ:
        raise InvalidParameter(f"environment variable {name} of a secret is not set")
    return os.fsencode(environ[name])


def _secret_file(path: Path) -> Path:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InvalidParameter(f"failed to stat {path}: {error.strerror}") from error
    if size > _MAX_SECRET:
        raise InvalidParameter(f"secret {path} is too large: more than {_MAX_SECRET} bytes")
    return path


def outputs(texts: Iterable[str]) -> list[ImageBuildOutput]:
    """``type=TYPE,dest=PATH``, or a directory, or ``-`` for a tar on stdout.

    Raises InvalidParameter.
    """
    found = []
    for text in texts:
        output = parse_output(text)
        attrs = {**(output.attrs or {})}
        if output.type == "docker" and not attrs.get("dest"):
            # The engine's own images, as to docker's client.
            output = ImageBuildOutput(type="image", attrs=attrs)
        elif output.type in _ARCHIVES:
            output = ImageBuildOutput(type=output.type, attrs={"dest": CALLER, **attrs})
        found.append(output)
    return found


def to_stdout(wanted: Iterable[ImageBuildOutput]) -> bool:
    """Whether one of these outputs goes to stdout. Raises InvalidParameter for a terminal."""
    found = any((output.attrs or {}).get("dest") == CALLER for output in wanted)
    if found and sys.stdout.isatty():
        raise InvalidParameter(
            "refusing to write an archive to a terminal: name a file, or redirect"
        )
    return found
