"""Images as skopeo and umoci make and read them: the same forms in other people's hands."""

from pathlib import Path

from tests.real.images import Image
from tests.real.programs import run


def skopeo_copy(source: str, destination: str, *options: str, timeout: float = 240) -> str:
    """`skopeo copy`, without a signature policy. Raises ProgramFailedError."""
    argv = ["skopeo", "--insecure-policy", "copy", *options, source, destination]
    return run(argv, timeout=timeout)


def umoci_layout(target: Path, image: Image, tag: str) -> Path:
    """An OCI layout with `image`'s layers under `tag`, compressed and described by umoci."""
    run(["umoci", "init", "--layout", str(target)])
    name = f"{target}:{tag}"
    run(["umoci", "new", "--image", name])
    for number, data in enumerate(image.layers):
        layer = target.parent / f"{target.name}-layer-{number}.tar"
        layer.write_bytes(data)
        run(["umoci", "raw", "add-layer", "--image", name, str(layer)])
        layer.unlink()
    run(["umoci", "config", "--image", name, "--config.cmd", "/bin/sh", "--architecture", "amd64"])
    return target
