"""Engines' JSON as values of `lamina.models`, whatever the API version that it was written in."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lamina.errors import EngineError
from lamina.models import (
    AuthenticateOK,
    BuildPruneResponse,
    DistributionInspect,
    EventMessage,
    HistoryResponseItem,
    IdResponse,
    ImageDeleteResponseItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSearchResponseItem,
    ImageSummary,
    SystemDataUsage,
    SystemInfo,
    SystemVersion,
)

T = TypeVar("T")

_NO_TAG = "<none>:<none>"
_NO_DIGEST = "<none>@<none>"


def summaries(raw: bytes) -> list[ImageSummary]:
    """The rows of ``GET /images/json``."""
    return [_same_summary(image) for image in _read(raw, list[ImageSummary])]


def inspect(raw: bytes) -> ImageInspect:
    """The body of ``GET /images/{name}/json``."""
    image = _read(raw, ImageInspect)
    return msgspec.structs.replace(
        image,
        repo_tags=_names(image.repo_tags, _NO_TAG),
        repo_digests=_names(image.repo_digests, _NO_DIGEST),
        # Gone since 1.45, and mostly empty before.
        container=image.container or "",
        container_config=image.container_config or None,
        virtual_size=image.size,
    )


def history(raw: bytes) -> list[HistoryResponseItem]:
    """The body of ``GET /images/{name}/history``."""
    return _read(raw, list[HistoryResponseItem])


def committed(raw: bytes) -> IdResponse:
    """The body of ``POST /commit``."""
    return _read(raw, IdResponse)


def deleted(raw: bytes) -> list[ImageDeleteResponseItem]:
    """The body of ``DELETE /images/{name}``."""
    return _read(raw, list[ImageDeleteResponseItem])


def pruned(raw: bytes) -> ImagePruneResponse:
    """The body of ``POST /images/prune``."""
    return _read(raw, ImagePruneResponse)


def build_pruned(raw: bytes) -> BuildPruneResponse:
    """The body of ``POST /build/prune``."""
    return _read(raw, BuildPruneResponse)


def search_results(raw: bytes) -> list[ImageSearchResponseItem]:
    """The body of ``GET /images/search``; dockerd says null for nothing."""
    return [] if raw.strip() == b"null" else _read(raw, list[ImageSearchResponseItem])


def authenticated(raw: bytes) -> AuthenticateOK:
    """The body of ``POST /auth``."""
    return _read(raw, AuthenticateOK)


def distribution(raw: bytes) -> DistributionInspect:
    """The body of ``GET /distribution/{name}/json``."""
    return _read(raw, DistributionInspect)


def version(raw: bytes) -> SystemVersion:
    """The body of ``GET /version``."""
    return _read(raw, SystemVersion)


def info(raw: bytes) -> SystemInfo:
    """The body of ``GET /info``."""
    return _read(raw, SystemInfo)


def event(raw: bytes) -> EventMessage:
    """One message of ``GET /events``."""
    return _read(raw, EventMessage)


def data_usage(raw: bytes, types: Sequence[str]) -> SystemDataUsage:
    """The body of ``GET /system/df``, limited to `types` (versions below 1.42 give everything)."""
    usage = _read(raw, SystemDataUsage)
    images = None if usage.images is None else [_same_summary(image) for image in usage.images]
    usage = msgspec.structs.replace(usage, images=images)
    if not types:
        return usage
    left_out: dict[str, Any] = {
        field: None
        for field, type_ in _USAGE_TYPES.items()
        if type_ not in types and getattr(usage, field) is not None
    }
    if "image" not in types:
        left_out["layers_size"] = 0
    return msgspec.structs.replace(usage, **left_out)


_USAGE_TYPES = {
    "images": "image",
    "containers": "container",
    "volumes": "volume",
    "build_cache": "build-cache",
}


def error_message(raw: bytes, reason: str) -> str:
    """What a reply to a failed request says; `reason` is its status line's, for a mute one."""
    try:
        message = msgspec.json.decode(raw, type=dict[str, Any]).get("message")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Plain text, as old daemons and proxies have it.
        message = raw.decode(errors="replace")
    return str(message or "").strip() or reason


def document(raw: bytes) -> dict[str, Any]:
    """An object as it came."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _nonsense(error) from error


def _same_summary(image: ImageSummary) -> ImageSummary:
    return msgspec.structs.replace(
        image,
        repo_tags=_names(image.repo_tags, _NO_TAG),
        repo_digests=_names(image.repo_digests, _NO_DIGEST),
        # Gone since 1.44; it never differed from the size that stayed.
        virtual_size=image.size,
    )


def _names(names: Sequence[str], none: str) -> list[str]:
    return [name for name in names if name != none]


def _read(raw: bytes, type_: type[T]) -> T:
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), type_, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _nonsense(error) from error


def _nonsense(error: Exception) -> EngineError:
    return EngineError(f"the engine's answer makes no sense: {error}")


def _without_nulls(value: object) -> object:
    """The value as Go reads it: null is the same as nothing."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
