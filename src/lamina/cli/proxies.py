"""The proxies of the docker client's config.json, which its builds get as build arguments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from lamina.cli.contexts import config_directory
from lamina.errors import InvalidParameter

_MAX_FILE: Final = 8 << 20
_DEFAULT: Final = "default"


class _Proxies(msgspec.Struct, frozen=True, rename="camel"):
    """The proxies for one engine; empty where there is none."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    ftp_proxy: str = ""
    all_proxy: str = ""


class _Config(msgspec.Struct, frozen=True):
    """What of config.json is about proxies: by the engine's address, or ``default``."""

    proxies: dict[str, _Proxies] | None = None


def proxy_arguments(environ: Mapping[str, str], host: str) -> dict[str, str]:
    """The variables for commands on the engine at `host`, in upper and in lower case.

    Raises InvalidParameter (the file is no such document), OSError.
    """
    known = _read(config_directory(environ) / "config.json").proxies or {}
    proxies = known.get(host) or known.get(_DEFAULT) or _Proxies()
    given = {name: value for name, value in msgspec.structs.asdict(proxies).items() if value}
    return given | {name.upper(): value for name, value in given.items()}


def _read(path: Path) -> _Config:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return _Config()
    if len(text) > _MAX_FILE:
        raise InvalidParameter(f"{path} is too large")
    try:
        return msgspec.json.decode(text, type=_Config) if text.strip() else _Config()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {error}") from error
