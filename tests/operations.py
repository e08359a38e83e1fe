"""The operations of the Docker Engine Image API v1.42 and their parameters, as it names them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["OPERATIONS", "Operation"]


@dataclass(frozen=True)
class Operation:
    """An operation's parameters, by whether they must be given; `defaults` are those it names."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    defaults: Mapping[str, object] = field(default_factory=dict)
    model: str = ""
    """What it answers with, by the name of the document's model; empty for streams and nothing."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """All of them."""
        return self.required + self.optional


OPERATIONS: Final[Mapping[str, Operation]] = {
    "build_prune": Operation(
        optional=("keep_storage", "all", "filters"), model="BuildPruneResponse"
    ),
    "image_build": Operation(
        optional=(
            "dockerfile",
            "t",
            "extrahosts",
            "remote",
            "q",
            "nocache",
            "cachefrom",
            "pull",
            "rm",
            "forcerm",
            "memory",
            "memswap",
            "cpushares",
            "cpusetcpus",
            "cpuperiod",
            "cpuquota",
            "buildargs",
            "shmsize",
            "squash",
            "labels",
            "networkmode",
            "content_type",
            "x_registry_config",
            "platform",
            "target",
            "outputs",
            "input_stream",
        ),
        defaults={
            "dockerfile": "Dockerfile",
            "q": False,
            "nocache": False,
            "rm": True,
            "forcerm": False,
            "content_type": "application/x-tar",
        },
    ),
    "image_commit": Operation(
        optional=(
            "container",
            "repo",
            "tag",
            "comment",
            "author",
            "pause",
            "changes",
            "container_config",
        ),
        defaults={"pause": True},
        model="IdResponse",
    ),
    "image_create": Operation(
        optional=(
            "from_image",
            "from_src",
            "repo",
            "tag",
            "message",
            "x_registry_auth",
            "changes",
            "platform",
            "input_image",
        ),
    ),
    "image_delete": Operation(
        required=("name",),
        optional=("force", "noprune"),
        defaults={"force": False, "noprune": False},
        model="ImageDeleteResponseItem",
    ),
    "image_get": Operation(required=("name",)),
    "image_get_all": Operation(optional=("names",)),
    "image_history": Operation(required=("name",), model="HistoryResponseItem"),
    "image_inspect": Operation(required=("name",), model="ImageInspect"),
    "image_list": Operation(
        optional=("all", "filters", "shared_size", "digests"),
        defaults={"all": False, "shared_size": False, "digests": False},
        model="ImageSummary",
    ),
    "image_load": Operation(optional=("quiet", "images_tarball"), defaults={"quiet": False}),
    "image_prune": Operation(optional=("filters",), model="ImagePruneResponse"),
    "image_push": Operation(required=("name", "x_registry_auth"), optional=("tag",)),
    "image_search": Operation(
        required=("term",), optional=("limit", "filters"), model="ImageSearchResponseItem"
    ),
    "image_tag": Operation(required=("name",), optional=("repo", "tag")),
}
