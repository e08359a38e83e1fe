"""Images, as the Engine API tells of them."""

import msgspec

from lamina.models.base import Model
from lamina.oci.containerconfig import ContainerConfig


class ImageSummary(Model, kw_only=True):
    """One row of ``GET /images/json`` (schema ImageSummary). Bytes; ``created`` in unix seconds.

    An image without names has empty lists; ``<none>:<none>`` is how the API below 1.43 writes that.
    """

    containers: int = -1
    created: int = 0
    id: str
    labels: dict[str, str] | None = None
    parent_id: str = ""
    repo_digests: list[str] = msgspec.field(default_factory=list)
    repo_tags: list[str] = msgspec.field(default_factory=list)
    shared_size: int = -1
    size: int = 0
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET


class GraphDriverData(Model, kw_only=True):
    """Where a root filesystem lies (schema GraphDriverData)."""

    data: dict[str, str] | None = None
    name: str = ""


class RootFS(Model, kw_only=True):
    """The diff IDs of an image, base layer first."""

    type: str = "layers"
    layers: list[str] | msgspec.UnsetType = msgspec.UNSET


class ImageMetadata(Model, kw_only=True):
    """What this engine knows beside the image's own configuration."""

    last_tag_time: str = "0001-01-01T00:00:00Z"


class ImageInspect(Model, kw_only=True):
    """``GET /images/{name}/json`` (schema ImageInspect). ``created`` is RFC 3339 to nanoseconds."""

    id: str
    repo_tags: list[str] = msgspec.field(default_factory=list)
    repo_digests: list[str] = msgspec.field(default_factory=list)
    parent: str = ""
    comment: str = ""
    created: str = "0001-01-01T00:00:00Z"
    container: str | msgspec.UnsetType = msgspec.UNSET
    container_config: ContainerConfig | msgspec.UnsetType | None = msgspec.UNSET
    docker_version: str = ""
    author: str = ""
    config: ContainerConfig | None = None
    architecture: str = ""
    variant: str | msgspec.UnsetType = msgspec.UNSET
    os: str = ""
    os_version: str | msgspec.UnsetType = msgspec.UNSET
    size: int = 0
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET
    graph_driver: GraphDriverData = msgspec.field(default_factory=GraphDriverData)
    root_fs: RootFS = msgspec.field(name="RootFS", default_factory=RootFS)
    metadata: ImageMetadata = msgspec.field(default_factory=ImageMetadata)


class HistoryResponseItem(Model, kw_only=True):
    """One entry of ``GET /images/{name}/history``, newest first. ``created`` in unix seconds."""

    comment: str = ""
    created: int = 0
    created_by: str = ""
    id: str = "<missing>"
    size: int = 0
    tags: list[str] | None = None


class ImageDeleteResponseItem(Model, omit_defaults=True, kw_only=True):
    """``untagged`` (a familiar reference) or ``deleted`` (an image ID, a layer's chain ID)."""

    deleted: str = ""
    untagged: str = ""


class ImagePruneResponse(Model, kw_only=True):
    """``POST /images/prune``; ``images_deleted`` is None if nothing was pruned."""

    images_deleted: list[ImageDeleteResponseItem] | None = None
    space_reclaimed: int = 0


class IdResponse(Model, kw_only=True):
    """The ID of what was made: an image (``POST /commit``), or an exec."""

    id: str
