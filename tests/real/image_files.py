"""Images as files on disk, each made once a session, on first use."""

from collections.abc import Callable
from pathlib import Path

from tests.real.archives import docker_archive, multi_platform_layout, oci_layout
from tests.real.images import (
    busybox_image,
    busybox_rootfs,
    file,
    layer,
    make_image,
    small_image,
    tar_of,
    write_tree,
)
from tests.real.tools import umoci_layout


class ImageFiles:
    """Files below one directory. Do not write to them: other tests read them too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def made(self, name: str, build: Callable[[], bytes]) -> Path:
        """The file `name`, built on first use."""
        path = self.directory / name
        if not path.exists():
            # Two test processes may build the same at once; either result is the whole file.
            partial = path.with_name(f"{path.name}.partial")
            partial.write_bytes(build())
            partial.rename(path)
        return path

    @property
    def busybox_rootfs(self) -> Path:
        """A root filesystem, for `docker import`."""
        return self.made("busybox-rootfs.tar", busybox_rootfs)

    @property
    def busybox_archive(self) -> Path:
        """busybox:latest as a docker-archive."""
        return self.made(
            "busybox.tar", lambda: tar_of(docker_archive((busybox_image(), ["busybox:latest"])))
        )

    @property
    def small_archive(self) -> Path:
        """small:1 and small:2, which share their first layer's content with nobody else."""
        images = [(small_image(f"small {n}"), [f"small:{n}"]) for n in (1, 2)]
        return self.made("small.tar", lambda: tar_of(docker_archive(*images)))

    def oci_archive(self, compression: str = "gzip") -> Path:
        """oci:gzip, oci:zstd or oci:plain as an OCI archive with layers compressed so."""
        name = f"oci:{compression or 'plain'}"
        return self.made(
            f"oci-{compression or 'plain'}.tar",
            lambda: tar_of(oci_layout((small_image("oci"), [name]), compression=compression)),
        )

    def oci_directory(self, compression: str = "gzip") -> Path:
        """The same as a directory."""
        target = self.directory / f"oci-{compression or 'plain'}"
        if not target.exists():
            name = f"oci:{compression or 'plain'}"
            write_tree(oci_layout((small_image("oci"), [name]), compression=compression), target)
        return target

    @property
    def multi_platform_archive(self) -> Path:
        """multi:1 for linux/amd64, linux/arm64/v8 and linux/arm/v7, as an OCI archive."""
        platforms = [("amd64", ""), ("arm64", "v8"), ("arm", "v7")]
        images = [
            make_image(
                layer(file("architecture", architecture)),
                architecture=architecture,
                variant=variant,
            )
            for architecture, variant in platforms
        ]
        return self.made("multi.tar", lambda: tar_of(multi_platform_layout(images, "multi:1")))

    @property
    def umoci_directory(self) -> Path:
        """busybox under the tag `latest`, as umoci writes an OCI layout."""
        target = self.directory / "umoci"
        return target if target.exists() else umoci_layout(target, busybox_image(), "latest")
