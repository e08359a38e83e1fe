"""Names of images, for the shell to complete."""

import asyncio

import click

from lamina.errors import LaminaError


def complete_image(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The tagged names that begin with what was typed; none where the images cannot be read."""
    from lamina.cli.target import Target

    fields = Target.__dataclass_fields__
    target = Target(**{name: value for name, value in ctx.params.items() if name in fields})

    async def names() -> list[str]:
        async with target.open() as api:
            images = await api.image_list()
        return sorted({tag for image in images for tag in image.repo_tags})

    try:
        found = asyncio.run(names())
    except (LaminaError, OSError, click.ClickException):
        return []
    matching = [name for name in found if name.startswith(incomplete)]
    # `busy` is completed to `busybox` before its tags are offered.
    return matching + [
        name.removesuffix(":latest") for name in matching if name.endswith(":latest")
    ]
