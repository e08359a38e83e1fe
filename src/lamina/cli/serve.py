"""``lamina serve``: the daemon."""

import os
from pathlib import Path
from typing import Any

import click

from lamina import __version__

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="serve")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of images and all other state.",
)
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help="Listen on unix:///path, tcp://host:port or fd:// (repeatable).",
)
@click.option(
    "--config", "config_file", type=_FILE, help="Configuration file, TOML or dockerd's JSON."
)
@click.option("--group", metavar="GROUP", help="Group that owns unix sockets.  [docker]")
@click.option("--tlsverify", is_flag=True, help="Speak TLS on TCP, and ask for certificates.")
@click.option("--tlscacert", type=_FILE, help="Certificates of who may sign clients (PEM).")
@click.option("--tlscert", type=_FILE, help="The server's certificate (PEM).")
@click.option("--tlskey", type=_FILE, help="The server's key (PEM).")
@click.option("--log-level", type=click.Choice(["debug", "info", "warn", "error"]), help="[info]")
@click.option("--log-format", type=click.Choice(["logfmt", "json"]), help="[logfmt]")
@click.option(
    "--shutdown-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long running requests may go on at the end.  [15]",
)
@click.version_option(__version__, prog_name="lamina", message="%(prog)s %(version)s")
def command(config_file: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Serve the Docker Engine API on sockets.

    Docker clients find the daemon by DOCKER_HOST. It stops on SIGTERM or SIGINT when running
    requests have ended; on a second signal at once.
    """
    import gc

    # None of what is loaded now is garbage: to look for some would be a tenth of the start.
    gc.disable()
    import uvloop

    from lamina.daemon import DaemonConfig, read_config, run

    config = read_config(config_file) if config_file else DaemonConfig()
    config = config.with_options(options).resolved(os.environ, uid=os.getuid())
    uvloop.run(run(config, environ=os.environ))
