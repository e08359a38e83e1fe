"""``lamina version``: of this program and of the engine."""

import platform
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from lamina import __version__
from lamina.cli.target import Api, Target, target_options

if TYPE_CHECKING:
    from lamina.models import SystemVersion, VersionComponent

_ENGINE_DETAILS = (
    ("API version", "ApiVersion"),
    ("Go version", "GoVersion"),
    ("Python version", "PythonVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
    ("OS/Arch", "Arch"),
    ("Experimental", "Experimental"),
)


@click.command(name="version")
@target_options
@click.option("-f", "--format", "format_", default="", metavar="FORMAT", help="json or a template.")
def command(target: Target, *, format_: str) -> None:
    """Show the versions of this program and of the engine."""
    from lamina.cli.running import run

    shown: list[bool] = []

    async def main() -> None:
        import json

        import msgspec

        from lamina.cli.template import Template, go_json

        async with target.open() as api:
            client = _client(api)
            if not format_:
                click.echo(_client_text(client))
                shown.append(True)
            server = await api.system_version()
        if not format_:
            click.echo()
            click.echo(_server_text(server))
            return
        both = {"Client": client, "Server": json.loads(msgspec.json.encode(server))}
        click.echo(go_json(both) if format_ == "json" else Template(format_).render(both))

    try:
        run(main())
    except click.ClickException:
        # What this program is can be told without an engine.
        if not format_ and not shown:
            click.echo(_client_text(_client(None)))
        raise


def _client(api: Api | None) -> dict[str, Any]:
    from lamina.api.versions import NEWEST
    from lamina.client import Client
    from lamina.oci.platform import host

    here = host()
    spoken = api.api_version if isinstance(api, Client) else str(NEWEST)
    return {
        "Version": __version__,
        "ApiVersion": spoken,
        "DefaultAPIVersion": str(NEWEST),
        "PythonVersion": platform.python_version(),
        "Os": here.os,
        "Arch": here.architecture,
    }


def _client_text(client: dict[str, Any]) -> str:
    spoken, default = client["ApiVersion"], client["DefaultAPIVersion"]
    downgraded = "" if spoken == default else f" (downgraded from {default})"
    lines = [
        ("Version", client["Version"]),
        ("API version", spoken + downgraded),
        ("Python version", client["PythonVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
    ]
    return "\n".join(["Client:", *_lines(lines, indent=1)])


def _server_text(server: "SystemVersion") -> str:
    lines = [f"Server: {server.platform.name}".rstrip()]
    for component in server.components:
        lines.append(f" {component.name}:")
        lines += _lines(_component(component), indent=2)
    return "\n".join(lines)


def _component(component: "VersionComponent") -> list[tuple[str, str]]:
    details = component.details or {}
    lines = [("Version", component.version)]
    if component.name != "Engine":
        return [*lines, *sorted(details.items())]
    for label, key in _ENGINE_DETAILS:
        text = details.get(key, "")
        if not text:
            # An engine in another language has no Go version, for one.
            continue
        if key == "ApiVersion":
            text += f" (minimum version {details.get('MinAPIVersion', '')})"
        elif key == "Arch":
            text = f"{details.get('Os', '')}/{text}"
        elif key == "BuildTime":
            text = _ansic(text)
        lines.append((label, text))
    return lines


def _lines(pairs: Sequence[tuple[str, str]], *, indent: int) -> list[str]:
    return [f"{' ' * indent + label + ':':<20}{text}" for label, text in pairs]


def _ansic(text: str) -> str:
    """A time of building as C prints times: ``Thu May  7 21:09:36 2026``."""
    try:
        built = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{built:%a %b} {built.day:2} {built:%H:%M:%S %Y}"
