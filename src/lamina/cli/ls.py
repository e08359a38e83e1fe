"""``lamina ls``: the files of an image."""

import stat
from typing import TYPE_CHECKING

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from datetime import datetime

    from lamina.layers.view import Found


@click.command(name="ls")
@target_options
@click.option("-l", "--long", is_flag=True, help="Show mode, owner, size, time and link too.")
@click.option("-R", "--recursive", is_flag=True, help="Show all that is below, too.")
@click.option(
    "--format", "format_", type=click.Choice(["json"]), help="One JSON object a line, all known."
)
@click.argument("image", shell_complete=complete_image)
@click.argument("path", default="/")
def command(
    target: Target, *, long: bool, recursive: bool, format_: str | None, image: str, path: str
) -> None:
    """List a directory of an image, read from its layers' indexes: nothing is unpacked."""
    from lamina.cli.looking import local_engine, shown
    from lamina.cli.running import run

    async def main() -> None:
        async with local_engine(target) as engine, engine.image_files(image) as files:
            _, found = files.find(path)
            rows = files.walk(path) if recursive and found.is_directory else files.listing(path)
        for each, entry in rows:
            if format_:
                click.echo(_json(each, entry))
            elif long:
                click.echo(_long(entry).encode() + shown(_named(each, entry, recursive=recursive)))
            else:
                click.echo(shown(each if recursive else each.rpartition("/")[2]))

    run(main())


def _named(path: str, found: "Found", *, recursive: bool) -> str:
    from lamina.layers.tarheader import EntryType

    name = path if recursive else path.rpartition("/")[2]
    return f"{name} -> {found.entry.link}" if found.entry.type is EntryType.SYMLINK else name


def _mode(found: "Found") -> int:
    """The mode with the type in it, as ``st_mode`` has it."""
    from lamina.layers.tarheader import EntryType

    types = {
        EntryType.DIRECTORY: stat.S_IFDIR,
        EntryType.SYMLINK: stat.S_IFLNK,
        EntryType.CHARACTER_DEVICE: stat.S_IFCHR,
        EntryType.BLOCK_DEVICE: stat.S_IFBLK,
        EntryType.FIFO: stat.S_IFIFO,
    }
    return types.get(found.entry.type, stat.S_IFREG) | found.entry.mode


def _time(found: "Found") -> "datetime":
    from lamina.cli.times import calendar_time

    return calendar_time(found.entry.mtime_ns // 1_000_000_000)


def _long(found: "Found") -> str:
    entry = found.entry
    mode = stat.filemode(_mode(found))
    time = _time(found).strftime("%Y-%m-%d %H:%M")
    return f"{mode} {entry.uid:>5} {entry.gid:>5} {entry.size:>10} {time} "


def _json(path: str, found: "Found") -> str:
    import json

    entry = found.entry
    return json.dumps(
        {
            "Path": f"/{path}",
            "Mode": stat.filemode(_mode(found)),
            "Uid": entry.uid,
            "Gid": entry.gid,
            "Size": entry.size,
            "ModTime": _time(found).isoformat().replace("+00:00", "Z"),
            "Link": entry.link,
            "Layer": found.layer,
        }
    )
