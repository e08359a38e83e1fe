"""How an engine reaches registries: out of the configuration and the environment."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from logging import Logger
from pathlib import Path

from lamina import __version__
from lamina.daemon.config import DaemonConfig
from lamina.engine import Engine
from lamina.layers.compression import Compression
from lamina.registry.client import RegistryConfig
from lamina.registry.credentials import CredentialSource
from lamina.registry.hosts import DOCKER_HUB, HostRules
from lamina.registry.proxies import Proxies
from lamina.registry.retry import RetryPolicy


def registry_config(config: DaemonConfig, environ: Mapping[str, str]) -> RegistryConfig:
    """The settings for all registries. Raises InvalidParameter (a mirror that is no URL)."""
    mirrors = dict(config.mirrors)
    if config.registry_mirrors:
        mirrors[DOCKER_HUB] = config.registry_mirrors
    return RegistryConfig(
        hosts=HostRules(
            mirrors=mirrors,
            insecure=config.insecure_registries,
            certificates=config.registry_certificates,
        ),
        proxies=Proxies(
            http=_proxy(config, environ, "http-proxy"),
            https=_proxy(config, environ, "https-proxy"),
            exceptions=_proxy(config, environ, "no-proxy"),
        ),
        retries=RetryPolicy(attempts=config.max_download_attempts),
        user_agent=f"lamina/{__version__}",
        index=config.search_index,
    )


@asynccontextmanager
async def open_engine(
    config: DaemonConfig,
    root: Path,
    *,
    environ: Mapping[str, str],
    logger: Logger | None = None,
    credentials: CredentialSource | None = None,
) -> AsyncIterator[Engine]:
    """The engine on `root`, as it is configured; raises as `Engine.open` does."""
    async with Engine.open(
        root,
        logger=logger,
        registries=registry_config(config, environ),
        credentials=credentials,
        max_downloads=config.max_concurrent_downloads,
        max_uploads=config.max_concurrent_uploads,
        layer_compression=Compression(config.layer_compression),
        snapshot_driver=config.snapshot_driver,
        runtime=config.runtime,
        network_driver=config.network_driver,
        build_cache_limit=config.builder.keep_storage,
        insecure_builds=config.builder.insecure,
    ) as engine:
        yield engine


def _proxy(config: DaemonConfig, environ: Mapping[str, str], key: str) -> str:
    """A proxy by its key, or as the environment names it, in capitals or not."""
    name = key.replace("-", "_")
    return config.proxies.get(key) or environ.get(name.upper()) or environ.get(name) or ""
