"""``lamina inspect``: everything known about images."""

import json
from typing import Any

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Api, Target, target_options


@click.command(name="inspect")
@target_options
@click.option("-f", "--format", "format_", default="", metavar="FORMAT", help="json or a template.")
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...", shell_complete=complete_image)
def command(target: Target, *, format_: str, names: tuple[str, ...]) -> None:
    """Show everything known about images, as JSON."""
    from lamina.cli.running import fail, run

    async def main() -> list[str]:
        from lamina.cli.plain_text import in_json
        from lamina.cli.template import Template, go_json
        from lamina.errors import NotFound

        template = Template(format_) if format_ not in {"", "json"} else None
        found: list[dict[str, Any]] = []
        errors: list[str] = []
        async with target.open() as api:
            for name in names:
                try:
                    found.append(await _description(api, name))
                except NotFound as error:
                    errors.append(str(error))
        if template is not None:
            lines = [template.render(image) for image in found]
        elif format_:
            lines = [go_json(image) for image in found]
        else:
            lines = [in_json(json.dumps(found, indent=4, ensure_ascii=False))]
        for line in lines:
            click.echo(line)
        return errors

    fail(run(main()))


async def _description(api: Api, name: str) -> dict[str, Any]:
    """The JSON of an image: an engine's own as it came, or as `lamina serve` would give it."""
    import msgspec

    from lamina.api.versions import NEWEST, shape_inspect
    from lamina.client import Client, replies

    if isinstance(api, Client):
        return replies.document(await api.image_inspect_raw(name))
    # Through JSON, as templates know lists and no tuples.
    shaped = msgspec.json.encode(shape_inspect(await api.image_inspect(name), NEWEST))
    document: dict[str, Any] = msgspec.json.decode(shaped)
    return document
