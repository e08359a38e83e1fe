"""Registries on the command line: the user's credentials, and the settings of an engine in process.

``LAMINA_CONFIG`` names a configuration file of the daemon's whose settings about registries count
here, too.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from lamina.cli.contexts import config_directory
from lamina.daemon.config import DaemonConfig, read_config
from lamina.daemon.registries import registry_config
from lamina.registry.client import RegistryClient
from lamina.registry.docker_config import DockerConfig


def engine_config(environ: Mapping[str, str]) -> DaemonConfig:
    """The configuration of an engine in this process. Raises InvalidConfig, OSError."""
    path = environ.get("LAMINA_CONFIG")
    return read_config(Path(path)) if path else DaemonConfig()


def docker_config(environ: Mapping[str, str]) -> DockerConfig:
    """The user's credentials, as docker's own client keeps them."""
    return DockerConfig(config_directory(environ) / "config.json", environment=environ)


async def credentials_for(environ: Mapping[str, str], registry: str) -> dict[str, str]:
    """The user's credentials for a registry, as an engine takes them; empty if there are none."""
    found = await docker_config(environ).find(registry)
    if found is None:
        return {}
    fields: dict[str, str] = msgspec.to_builtins(found)
    return {"serveraddress": registry, **fields}


async def all_credentials(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The user's credentials for all registries, by name, as an engine takes them for a build."""
    config = docker_config(environ)
    found = {name: await credentials_for(environ, name) for name in await config.registries()}
    return {name: credentials for name, credentials in found.items() if credentials}


@asynccontextmanager
async def open_registries(environ: Mapping[str, str]) -> AsyncIterator[RegistryClient]:
    """Registries, without any engine."""
    config = registry_config(engine_config(environ), environ)
    async with RegistryClient(config, credentials=docker_config(environ)) as client:
        yield client
