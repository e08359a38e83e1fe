"""Copy an image from one registry to another, byte for byte: its digest stays the same.

    python copy_image.py old.example/team/app:1.2 new.example/team/app:1.2

A layer that the target has already is not sent again. Of a multi-platform image the chosen platform
is fetched; its manifest is then what is pushed.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from lamina import Engine, Reference
from lamina.registry.docker_config import DockerConfig


async def copy_image(source: str, target: str, *, platform: str, root: Path) -> str:
    """Copy an image; returns the digest of what the target has now."""
    new = Reference.parse(target).with_default_tag()
    credentials = DockerConfig(Path.home() / ".docker/config.json")
    async with Engine.open(root, credentials=credentials) as engine:
        pulled = await engine.image_create(from_image=source, platform=platform)
        await engine.image_tag(pulled, repo=new.familiar_name, tag=new.tag or "")
        (digest,) = (await engine.image_push(new.familiar)).values()
        return digest


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="Copy an image between registries.")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--platform", default="", help="such as linux/arm64  [this machine's]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        copied = copy_image(
            options.source, options.target, platform=options.platform, root=Path(root)
        )
        print(options.target, asyncio.run(copied))


if __name__ == "__main__":
    main()
