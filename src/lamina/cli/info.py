"""``lamina info``: what an engine is and what it can do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from lamina import __version__
from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from lamina.models import SystemInfo


@click.command(name="info")
@target_options
@click.option("-f", "--format", "format_", default="", metavar="FORMAT", help="json or a template.")
def command(target: Target, *, format_: str) -> None:
    """Show configuration, counts and capabilities of the engine."""
    from lamina.cli.running import run

    async def main() -> None:
        import json

        import msgspec

        from lamina.cli.template import Template, go_json

        async with target.open() as api:
            info = await api.system_info()
        if format_:
            value = json.loads(msgspec.json.encode(info))
            click.echo(go_json(value) if format_ == "json" else Template(format_).render(value))
            return
        for line in ("Client:", f" Version:    {__version__}", "", "Server:", *_lines(info)):
            click.echo(line)
        click.echo()
        for warning in info.warnings or []:
            click.echo(warning, err=True)

    run(main())


def _lines(info: "SystemInfo") -> Iterator[str]:
    """The engine's half, line by line in the docker client's order."""
    from lamina.units import binary_size

    yield f" Containers: {info.containers}"
    yield f"  Running: {info.containers_running}"
    yield f"  Paused: {info.containers_paused}"
    yield f"  Stopped: {info.containers_stopped}"
    yield f" Images: {info.images}"
    yield from _given("Server Version", info.server_version)
    yield from _given("Storage Driver", info.driver)
    yield from (f"  {': '.join(pair)}" for pair in info.driver_status)
    yield from _given("Logging Driver", info.logging_driver)
    yield from _given("Cgroup Driver", info.cgroup_driver)
    yield from _given("Cgroup Version", info.cgroup_version)
    yield from _plugins(info.plugins)
    if info.swarm:
        yield f" Swarm: {info.swarm.get('LocalNodeState', '')}"
    if info.runtimes:
        yield f" Runtimes: {' '.join(sorted(info.runtimes))}"
        yield f" Default Runtime: {info.default_runtime}"
    yield from _given("Init Binary", info.init_binary)
    for name, commit in (
        ("containerd", info.containerd_commit),
        ("runc", info.runc_commit),
        ("init", info.init_commit),
    ):
        if commit:
            yield f" {name} version: {commit.id}"
    yield from _security(info.security_options)
    yield from _given("Kernel Version", info.kernel_version)
    yield from _given("Operating System", info.operating_system)
    yield from _given("OSType", info.os_type)
    yield from _given("Architecture", info.architecture)
    yield f" CPUs: {info.ncpu}"
    yield f" Total Memory: {binary_size(info.mem_total)}"
    yield from _given("Name", info.name)
    yield from _given("ID", info.id)
    yield f" Docker Root Dir: {info.docker_root_dir}"
    yield f" Debug Mode: {_word(value=info.debug)}"
    yield from _given("HTTP Proxy", info.http_proxy)
    yield from _given("HTTPS Proxy", info.https_proxy)
    yield from _given("No Proxy", info.no_proxy)
    if info.labels:
        yield " Labels:"
        yield from (f"  {label}" for label in info.labels)
    yield f" Experimental: {_word(value=info.experimental_build)}"
    yield from _registries(info.registry_config or {})
    yield f" Live Restore Enabled: {_word(value=info.live_restore_enabled)}"


def _given(label: str, text: str) -> Iterator[str]:
    if text:
        yield f" {label}: {text}"


def _word(*, value: bool) -> str:
    return "true" if value else "false"


def _plugins(plugins: dict[str, list[str] | None]) -> Iterator[str]:
    if not any(plugins.values()):
        return
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if names := plugins.get(kind):
            yield f"  {kind}: {' '.join(names)}"


def _security(options: list[str]) -> Iterator[str]:
    """``name=seccomp,profile=default`` and the like, one under the other."""
    if not options:
        return
    yield " Security Options:"
    for option in options:
        pairs = [pair.partition("=") for pair in option.split(",")]
        for key, _, text in pairs:
            yield f"  {text or key}" if key == "name" else f"   {key.capitalize()}: {text}"


def _registries(config: dict[str, Any]) -> Iterator[str]:
    insecure = [
        *(
            name
            for name, index in sorted((config.get("IndexConfigs") or {}).items())
            if isinstance(index, dict) and index.get("Secure") is False
        ),
        *(config.get("InsecureRegistryCIDRs") or []),
    ]
    if insecure:
        yield " Insecure Registries:"
        yield from (f"  {name}" for name in insecure)
    if mirrors := config.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {mirror}" for mirror in mirrors)
