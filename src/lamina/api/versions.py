"""API versions: which are served, and how their shapes differ from those of `lamina.models`.

Every path exists as ``/v1.44/…`` and without a version, which means the newest. Clients choose the
version: they read `NEWEST` from the header ``Api-Version`` of a ping and take it or their own, if
older.
"""

from typing import Any, NamedTuple, TypeVar

import msgspec

from lamina.errors import InvalidParameter
from lamina.models import BuildCache, ContainerInspect, ImageInspect, ImageSummary, SystemDataUsage

_ZERO_TIME = "0001-01-01T00:00:00Z"

T = TypeVar("T", bound=msgspec.Struct)


class ApiVersion(NamedTuple):
    """A version of the Engine API; compares as numbers, so 1.9 < 1.24."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = ApiVersion(1, 12)
"""Older clients are refused, as by dockerd up to version 24: skopeo 1.9 still speaks 1.22."""

JSON_ERRORS = ApiVersion(1, 24)
"""Errors are plain text for clients of older versions."""

NEWEST = ApiVersion(1, 44)
"""What is advertised: docker CLI 29.0 to 29.2 refuse to talk to anything below."""

_SERVED = {
    str(version): version
    for version in (ApiVersion(1, minor) for minor in range(OLDEST.minor, NEWEST.minor + 1))
}


class UnsupportedVersion(InvalidParameter):
    """A version that this server does not speak; `plain` if its clients cannot read JSON errors."""

    def __init__(self, message: str, *, plain: bool = False) -> None:
        super().__init__(message)
        self.plain = plain


def negotiate(text: str) -> ApiVersion:
    """The version that ``v<text>`` at the head of a path asks for. Raises UnsupportedVersion.

    `text` is digits and dots; as in dockerd, what is missing or surplus counts as zero.
    """
    if (version := _SERVED.get(text)) is not None:
        return version
    major, minor, *_ = (int(part or 0) for part in (text + "..").split("."))
    asked = ApiVersion(major, minor)
    if asked < OLDEST:
        raise UnsupportedVersion(
            f"client version {text} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version",
            plain=True,
        )
    if asked > NEWEST:
        raise UnsupportedVersion(
            f"client version {text} is too new. Maximum supported API version is {NEWEST}"
        )
    return asked


def shape_summaries(images: list[ImageSummary], version: ApiVersion) -> list[ImageSummary]:
    """The rows of an image list as `version` has them; the engine's own rows are left alone."""
    return [_shape_summary(image, version) for image in images]


def shape_inspect(image: ImageInspect, version: ApiVersion) -> ImageInspect:
    """An image's description as `version` has it; the engine's own value is left alone."""
    changes: dict[str, Any] = {}
    # Gone in 1.45, which is not served yet.
    if image.container is msgspec.UNSET:
        changes["container"] = ""
    if image.container_config is msgspec.UNSET:
        changes["container_config"] = None
    changes["virtual_size"] = _virtual_size(image.size, version)
    if version >= (1, 44) and image.created == _ZERO_TIME:
        # An image that does not know when it was made says nothing about it since then.
        changes["created"] = msgspec.UNSET
    return _changed(image, changes)


def shape_container(container: ContainerInspect, version: ApiVersion) -> ContainerInspect:
    """A container's description as `version` has it."""
    if version >= (1, 42):
        return container
    # Limits of the kernel's own memory, which kernels no longer have: gone in 1.42.
    host_config = _changed(container.host_config, {"kernel_memory": 0, "kernel_memory_tcp": 0})
    return _changed(container, {"host_config": host_config})


def shape_data_usage(usage: SystemDataUsage, version: ApiVersion) -> SystemDataUsage:
    """Disk use as `version` has it."""
    changes: dict[str, Any] = {}
    if usage.images is not None:
        changes["images"] = shape_summaries(usage.images, version)
    if usage.build_cache is not None:
        changes["build_cache"] = [_shape_cache(cache, version) for cache in usage.build_cache]
    return _changed(usage, changes)


def _shape_cache(cache: BuildCache, version: ApiVersion) -> BuildCache:
    if version >= (1, 42):
        return cache
    return _changed(cache, {"parent": "", "parents": msgspec.UNSET})


def _shape_summary(image: ImageSummary, version: ApiVersion) -> ImageSummary:
    changes: dict[str, Any] = {"virtual_size": _virtual_size(image.size, version)}
    if version < (1, 43):
        if not image.repo_tags and not image.repo_digests:
            changes["repo_tags"] = ["<none>:<none>"]
            changes["repo_digests"] = ["<none>@<none>"]
        else:
            # Go's nil slice: what is not there is null, until 1.43.
            changes["repo_tags"] = image.repo_tags or None
            changes["repo_digests"] = image.repo_digests or None
    return _changed(image, changes)


def _virtual_size(size: int, version: ApiVersion) -> int | msgspec.UnsetType:
    """What has been the same as the size for long, and is gone since 1.44."""
    return size if version < (1, 44) else msgspec.UNSET


def _changed(value: T, changes: dict[str, Any]) -> T:
    return msgspec.structs.replace(value, **changes) if changes else value
