"""``lamina events``: what happens in an engine."""

from typing import TYPE_CHECKING

import click

from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from lamina.models import EventMessage


@click.command(name="events")
@target_options
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches."
)
@click.option("--format", "format_", default="", metavar="FORMAT", help="json or a template.")
@click.option("--since", default="", metavar="TIME", help="Begin with what happened since then.")
@click.option("--until", default="", metavar="TIME", help="End at that time.")
def command(
    target: Target, *, filters: tuple[str, ...], format_: str, since: str, until: str
) -> None:
    """Show events as they happen.

    A TIME is RFC 3339, unix seconds, or a duration before now such as 10m.
    """
    from lamina.cli.running import run

    async def main() -> None:
        import contextlib
        import json

        import msgspec

        from lamina.cli.filters import parse_filters
        from lamina.cli.plain_text import one_line
        from lamina.cli.template import Template, go_json

        wanted = parse_filters(filters)
        template = Template(format_) if format_ not in {"", "json"} else None
        async with target.open() as api:
            stream = api.system_events(since=since, until=until, filters=wanted)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    if not format_:
                        click.echo(one_line(_line(event)))
                        continue
                    value = json.loads(msgspec.json.encode(event))
                    click.echo(template.render(_fields(value)) if template else go_json(value))

    run(main())


def _fields(event: dict[str, object]) -> dict[str, object]:
    """The fields as Go's type of an event names them, for templates."""
    names = {"status": "Status", "id": "ID", "from": "From", "scope": "Scope", "time": "Time"}
    return {names.get(name, name).replace("timeNano", "TimeNano"): event[name] for name in event}


def _line(event: "EventMessage") -> str:
    from lamina.cli.times import rfc3339_nano

    line = f"{rfc3339_nano(event.time_nano)} {event.type} {event.action} {event.actor.id}"
    attributes = ", ".join(
        f"{key}={value}" for key, value in sorted(event.actor.attributes.items())
    )
    return f"{line} ({attributes})" if attributes else line
