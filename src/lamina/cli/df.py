"""``lamina df``: what takes up the disk, and how much of it could be freed."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from lamina.cli.table import Row
    from lamina.models import SystemDataUsage

_HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_ACTIVE_STATES = frozenset({"running", "paused", "restarting"})


@click.command(name="df")
@target_options
@click.option(
    "--format", "format_", default="", metavar="FORMAT", help="table, json or a template."
)
@click.option("-v", "--verbose", is_flag=True, help="Show every image.")
def command(target: Target, *, format_: str, verbose: bool) -> None:
    """Show disk use."""
    from lamina.cli.running import run

    if verbose and format_:
        raise click.UsageError("--verbose and --format exclude each other")

    async def main() -> None:
        from lamina.cli.table import Table

        async with target.open() as api:
            usage = await api.system_data_usage()
        if verbose:
            click.echo(_every_image(usage), nl=False)
            return
        rows = [_images(usage), _containers(usage), _volumes(usage), _build_cache(usage)]
        click.echo(Table(_HEADINGS, list(_HEADINGS)).render(rows, format=format_), nl=False)

    run(main())


def _every_image(usage: "SystemDataUsage") -> str:
    import msgspec

    from lamina.cli.image_rows import HEADINGS, image_rows
    from lamina.cli.table import Table

    fields = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    table = Table(HEADINGS, [*fields, "SharedSize", "UniqueSize", "Containers"])
    # One row an image: what it takes up is told once.
    images = [
        msgspec.structs.replace(image, repo_tags=image.repo_tags[:1], repo_digests=[])
        for image in usage.images or []
    ]
    rows = image_rows(images, now=time.time(), no_trunc=False, digests=False)
    return f"Images space usage:\n\n{table.render(list(rows))}"


def _images(usage: "SystemDataUsage") -> "Row":
    images = usage.images or []
    needed = sum(
        image.size - image.shared_size
        for image in images
        if image.containers != 0 and image.size != -1 and image.shared_size != -1
    )
    active = sum(image.containers > 0 for image in images)
    size = usage.layers_size
    return _row("Images", images, active=active, size=size, reclaimable=size - needed)


def _containers(usage: "SystemDataUsage") -> "Row":
    def active(container: dict[str, Any]) -> bool:
        return container.get("State") in _ACTIVE_STATES

    def size(container: dict[str, Any]) -> int:
        return int(container.get("SizeRw") or 0)

    return _sum("Containers", usage.containers, active, size)


def _volumes(usage: "SystemDataUsage") -> "Row":
    def usage_of(volume: dict[str, Any], key: str) -> int:
        return int((volume.get("UsageData") or {}).get(key) or 0)

    return _sum(
        "Local Volumes",
        usage.volumes,
        lambda volume: usage_of(volume, "RefCount") > 0,
        # -1 stands for a size that is not known.
        lambda volume: max(usage_of(volume, "Size"), 0),
    )


def _build_cache(usage: "SystemDataUsage") -> "Row":
    return _sum(
        "Build Cache",
        usage.build_cache,
        lambda record: bool(record.get("InUse")),
        lambda record: 0 if record.get("Shared") else int(record.get("Size") or 0),
        percent=False,
    )


def _sum(
    kind: str,
    items: list[Any] | None,
    active: Callable[[dict[str, Any]], bool],
    size: Callable[[dict[str, Any]], int],
    *,
    percent: bool = True,
) -> "Row":
    import msgspec

    known = msgspec.to_builtins(items or [])
    return _row(
        kind,
        known,
        active=sum(map(active, known)),
        size=sum(map(size, known)),
        reclaimable=sum(size(item) for item in known if not active(item)),
        percent=percent,
    )


def _row(
    kind: str,
    items: Sequence[object],
    *,
    active: int,
    size: int,
    reclaimable: int,
    percent: bool = True,
) -> "Row":
    from lamina.units import human_size

    share = f" ({reclaimable * 100 // size}%)" if percent and size > 0 else ""
    return {
        "Type": kind,
        "TotalCount": str(len(items)),
        "Active": str(active),
        "Size": human_size(size),
        "Reclaimable": human_size(reclaimable) + share,
    }
