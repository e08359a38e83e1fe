"""`python -m tests.unit.build.as_nobody`: a build by a user who may do nothing; prints its ID."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import lamina.build.builder  # noqa: F401 - while it can surely be read
from lamina.engine import Engine
from tests.real.images import busybox_image, file, gzipped, layer, symlink
from tests.unit.build.builds import build
from tests.unit.build.conftest import load_busybox

NOBODY = 65534

DOCKERFILE = """FROM busybox AS files
WORKDIR /made/here
COPY --chown=5:6 a d/
ADD packed.tar.gz /unpacked/
FROM busybox
COPY --from=files /made /made
COPY --from=files --chmod=600 /unpacked /bin/unpacked
ENV a=b
"""

FILES = [
    file("a", "A", 0o4755),
    file("packed.tar.gz", gzipped(layer(file("x", "X"), symlink("l", "x")))),
]


async def image_of(root: Path) -> str:
    """What is built in a root; the ID of the image."""
    async with Engine.open(root) as engine:
        await load_busybox(engine)
        epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
        return await build(engine, DOCKERFILE, FILES, buildargs=epoch)


def main() -> None:
    busybox_image()  # made of a program, and kept
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    os.umask(0o077)
    os.environ["PATH"] = "/nowhere"
    with tempfile.TemporaryDirectory(prefix="lamina-nobody-") as directory:
        sys.stdout.write(asyncio.run(image_of(Path(directory, "root"))))


if __name__ == "__main__":
    main()
