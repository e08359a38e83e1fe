"""What a command works on: a data root without any daemon, or an engine that listens somewhere."""

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from lamina.image_api import ImageApi
from lamina.system_api import SystemApi

if TYPE_CHECKING:
    from lamina.cli.contexts import Endpoint

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)


class Api(ImageApi, SystemApi, Protocol):
    """Both interfaces: an `Engine` or a `Client`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The options that say where images are; `open` gives what works there."""

    root: Path | None = None
    host: str | None = None
    context: str | None = None
    tls: bool = False
    tlsverify: bool = False
    tlscacert: Path | None = None
    tlscert: Path | None = None
    tlskey: Path | None = None

    @property
    def data_root(self) -> Path | None:
        """The directory to work on without a daemon, if that is what is meant."""
        if self.root is not None:
            return self.root
        named = self.host or self.context
        given = os.environ.get("LAMINA_ROOT")
        return Path(given) if given and not named else None

    async def registry_auth(self, registry: str) -> dict[str, str]:
        """What is to be sent to the engine for it to log in to a registry as the user.

        Nothing where it works in this process: then it finds the credentials by itself.
        """
        if self.data_root is not None:
            return {}
        from lamina.cli.registries import credentials_for

        return await credentials_for(os.environ, registry)

    async def registry_config(self) -> dict[str, dict[str, str]]:
        """The same for every registry that the user is logged in to, by its name."""
        if self.data_root is not None:
            return {}
        from lamina.cli.registries import all_credentials

        return await all_credentials(os.environ)

    def proxies(self) -> dict[str, str | None]:
        """The user's proxies, as a build's commands are given them. Raises InvalidParameter."""
        from lamina.cli.proxies import proxy_arguments

        host = "" if self.data_root is not None else self._endpoint().host
        return {**proxy_arguments(os.environ, host)}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Api]:
        """The engine that is meant. Raises InvalidParameter, Unavailable."""
        root = self.data_root
        if root is not None:
            if self.host or self.context:
                raise click.UsageError("--root excludes --host and --context")
            from lamina.cli.registries import docker_config, engine_config
            from lamina.daemon.registries import open_engine

            config, credentials = engine_config(os.environ), docker_config(os.environ)
            async with open_engine(
                config, root, environ=os.environ, credentials=credentials
            ) as engine:
                yield engine
            return
        from lamina.client import Client

        endpoint = self._endpoint()
        version = os.environ.get("DOCKER_API_VERSION") or None
        async with Client.connect(endpoint.host, tls=endpoint.tls, api_version=version) as client:
            yield client

    def _endpoint(self) -> "Endpoint":
        from lamina.cli.contexts import TLSOptions, find_endpoint

        tls = TLSOptions(self.tls, self.tlsverify, self.tlscacert, self.tlscert, self.tlskey)
        return find_endpoint(os.environ, host=self.host, context=self.context, tls=tls)


def _complete_context(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from lamina.cli.contexts import context_names

    return [name for name in context_names(os.environ) if name.startswith(incomplete)]


_OPTIONS = (
    click.option(
        "--root",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Work on this directory of images, without a daemon.  [$LAMINA_ROOT]",
    ),
    click.option(
        "-H",
        "--host",
        metavar="ADDRESS",
        help="Engine to talk to: unix:///path, tcp://host:port.  [$DOCKER_HOST]",
    ),
    click.option(
        "--context",
        metavar="NAME",
        shell_complete=_complete_context,
        help="Docker context that names the engine.  [$DOCKER_CONTEXT]",
    ),
    click.option("--tls", is_flag=True, help="Speak TLS on TCP."),
    click.option("--tlsverify", is_flag=True, help="Speak TLS and check the engine's certificate."),
    click.option("--tlscacert", type=_FILE, help="Certificates of who may sign engines (PEM)."),
    click.option("--tlscert", type=_FILE, help="The client's certificate (PEM)."),
    click.option("--tlskey", type=_FILE, help="The client's key (PEM)."),
)
TARGET_NAMES = ("root", "host", "context", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey")
"""Parameters of every command that has `target_options`."""


def target_options(command: F) -> F:
    """Give a command the options of a `Target`, and its function that as the first argument."""

    @functools.wraps(command)
    def with_target(**params: Any) -> Any:  # noqa: ANN401 - whatever the command takes
        target = Target(**{name: params.pop(name) for name in TARGET_NAMES})
        return command(target, **params)

    function: Any = with_target
    for option in reversed(_OPTIONS):
        function = option(function)
    decorated: F = function
    return decorated
