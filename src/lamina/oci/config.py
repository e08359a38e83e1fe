"""Image configurations, whose digest is the image's ID (OCI image-spec, config.md).

What is made here has the form of dockerd's: top-level keys in alphabetical order, and what Go
leaves out when it is empty left out.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Final

from lamina.errors import InvalidManifest
from lamina.oci import jsontext
from lamina.oci.containerconfig import ContainerConfig, Healthcheck
from lamina.oci.digest import Digest
from lamina.oci.document import Document, received_as
from lamina.oci.history import HistoryEntry
from lamina.oci.platform import Platform
from lamina.oci.rootfs import RootFS, chain_ids
from lamina.oci.timestamp import format_timestamp, is_timestamp, parse_timestamp

__all__ = ["ContainerConfig", "Healthcheck", "HistoryEntry", "ImageConfig"]

# Defaults known by identity: they stand for an absent key, and are not written.
_NO_CONFIG: Final = ContainerConfig()
_NO_ROOTFS: Final = RootFS()


class ImageConfig(
    Document,
    frozen=True,
    kw_only=True,
    rename={
        "created_text": "created",
        "os_version": "os.version",
        "os_features": "os.features",
    },
):
    """What an image is made of and how it runs. An absent string is empty.

    `digest` is the image's ID and `created_text` the time of its making as it was written. An
    absent `config` or `container_config` reads as one in which nothing is set.
    """

    architecture: str = ""
    author: str = ""
    comment: str = ""
    config: ContainerConfig = _NO_CONFIG
    container: str = ""
    container_config: ContainerConfig = _NO_CONFIG
    created_text: str = ""
    docker_version: str = ""
    history: tuple[HistoryEntry, ...] = ()
    os: str = ""
    os_features: tuple[str, ...] = ()
    os_version: str = ""
    parent: str = ""
    rootfs: RootFS = _NO_ROOTFS
    variant: str = ""

    @staticmethod
    def parse(raw: bytes) -> "ImageConfig":
        """Read the configuration of an image. Raises InvalidManifest."""
        config = jsontext.decode(_DECODER, raw, what="image configuration")
        if config.rootfs is _NO_ROOTFS:
            raise InvalidManifest("invalid image JSON, no RootFS key")
        for text in (config.created_text, *(entry.created_text for entry in config.history)):
            if text and not is_timestamp(text):
                raise InvalidManifest(f'parsing time "{text:.64}": not of RFC 3339')
        return received_as(raw, config)

    @staticmethod
    def build(
        *,
        platform: Platform,
        created: datetime,
        diff_ids: Iterable[Digest] = (),
        history: Iterable[HistoryEntry] = (),
        config: ContainerConfig | None = None,
        container_config: ContainerConfig | None = None,
        container: str = "",
        author: str = "",
        comment: str = "",
        docker_version: str = "",
    ) -> "ImageConfig":
        """Make a configuration; equal arguments give equal bytes. `created` knows its offset."""
        return ImageConfig(
            architecture=platform.architecture,
            author=author,
            comment=comment,
            config=config or ContainerConfig(),
            container=container,
            container_config=container_config or ContainerConfig(),
            created_text=format_timestamp(created),
            docker_version=docker_version,
            history=tuple(history),
            os=platform.os,
            os_features=platform.os_features,
            os_version=platform.os_version,
            rootfs=RootFS(diff_ids=tuple(diff_ids)),
            variant=platform.variant,
        )

    def derive(
        self,
        *,
        created: datetime,
        created_by: str,
        layer: Digest | None,
        config: ContainerConfig,
        container_config: ContainerConfig | None = None,
        container: str = "",
        author: str = "",
        comment: str = "",
        docker_version: str = "",
    ) -> "ImageConfig":
        """The configuration of a child image: one more step, and one more layer if `layer` is one.

        `layer` is a diff ID; None makes an entry with an empty layer. Members of this configuration
        that no field shows are not passed on.
        """
        entry = HistoryEntry(
            created_text=format_timestamp(created),
            author=author,
            created_by=created_by,
            comment=comment,
            empty_layer=layer is None,
        )
        return ImageConfig.build(
            platform=self.platform,
            created=created,
            diff_ids=self.diff_ids if layer is None else (*self.diff_ids, layer),
            history=(*self.history, entry),
            config=config,
            container_config=container_config,
            container=container,
            author=author,
            docker_version=docker_version,
        )

    @property
    def has_config(self) -> bool:
        """Whether there is a `config`, and not as null."""
        return self.config is not _NO_CONFIG

    @property
    def created(self) -> datetime | None:
        """When the image was made, to microseconds; None if that is not told."""
        return parse_timestamp(self.created_text)

    @property
    def platform(self) -> Platform:
        """What the image was made for, as it was written."""
        return Platform(self.os, self.architecture, self.variant, self.os_version, self.os_features)

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers by the digests of their uncompressed content, base layer first."""
        return self.rootfs.diff_ids

    @cached_property
    def chain_ids(self) -> tuple[Digest, ...]:
        """The layers each with everything below it, base layer first."""
        return chain_ids(self.diff_ids)


_DECODER = jsontext.decoder(ImageConfig)
