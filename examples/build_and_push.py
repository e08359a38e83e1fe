"""Build a directory's image and push it, as a CI job does: without a daemon and without root.

    python build_and_push.py DIRECTORY registry.example/team/app:1.2

Credentials are those of ``docker login`` or ``lamina login``. What was built before in the same
root is used again; without ``--root`` that is the user's own, which a CI may keep between jobs.
"""

import argparse
import asyncio
from pathlib import Path

from lamina import Engine
from lamina.packing.context import directory_context
from lamina.progress import StreamText
from lamina.registry.docker_config import DockerConfig


async def build_and_push(
    directory: Path, name: str, *, arguments: dict[str, str | None], root: Path | None
) -> dict[str, str]:
    """Build and push; returns the digest of each tag."""
    credentials = DockerConfig(Path.home() / ".docker/config.json")
    async with Engine.open(root, credentials=credentials) as engine:
        context = directory_context(directory)
        build = engine.image_build(
            dockerfile=context.dockerfile,
            input_stream=context.stream,
            t=[name],
            buildargs=arguments,
        )
        async for event in build:
            if isinstance(event, StreamText):
                print(event.text, end="")
        return await engine.image_push(name)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="Build a directory's image and push it.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("name", help="registry.example/team/app:1.2")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--root", type=Path, help="where images are kept")
    options = parser.parse_args()
    arguments: dict[str, str | None] = dict(pair.split("=", 1) for pair in options.build_arg)
    digests = asyncio.run(
        build_and_push(options.directory, options.name, arguments=arguments, root=options.root)
    )
    for tag, digest in digests.items():
        print(f"{options.name} is pushed: {tag} {digest}")


if __name__ == "__main__":
    main()
