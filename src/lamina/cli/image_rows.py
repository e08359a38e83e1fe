"""The rows of image lists: one for each name of an image, as the docker client shows them."""

from collections.abc import Iterator, Sequence

from lamina.cli.table import Row
from lamina.cli.times import age, local_time
from lamina.errors import InvalidReference
from lamina.models import ImageSummary
from lamina.oci.reference import Reference
from lamina.units import human_size

_NONE = "<none>"
_UNKNOWN = "N/A"

HEADINGS = {
    "Containers": "CONTAINERS",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "SharedSize": "SHARED SIZE",
    "Size": "SIZE",
    "Tag": "TAG",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
}


def image_rows(
    images: Sequence[ImageSummary], *, now: float, no_trunc: bool, digests: bool
) -> Iterator[Row]:
    """One row for each tag of each image; with `digests`, one for each pair of tag and digest."""
    for image in images:
        common = _common(image, now=now, no_trunc=no_trunc)
        for repository, tag, digest in _names(image, digests=digests):
            yield {**common, "Repository": repository, "Tag": tag, "Digest": digest}


def short_id(text: str, *, no_trunc: bool) -> str:
    """An image ID as it is shown: whole, or the first twelve digits of its hash."""
    return text if no_trunc else text.partition(":")[2][:12] or text[:12]


def _common(image: ImageSummary, *, now: float, no_trunc: bool) -> dict[str, str]:
    size = human_size(image.size, 3)
    shared = image.shared_size
    return {
        "Containers": _UNKNOWN if image.containers == -1 else str(image.containers),
        "CreatedAt": local_time(image.created),
        "CreatedSince": age(image.created, now),
        "ID": short_id(image.id, no_trunc=no_trunc),
        "SharedSize": _UNKNOWN if shared == -1 else human_size(shared),
        "Size": size,
        "UniqueSize": _UNKNOWN if shared == -1 else human_size(image.size - shared),
        "VirtualSize": size,
    }


def _names(image: ImageSummary, *, digests: bool) -> Iterator[tuple[str, str, str]]:
    """Repository, tag and digest of each row; ``<none>`` for what there is not."""
    tags: dict[str, list[str]] = {}
    by_digest: dict[str, list[str]] = {}
    for reference in _references(image.repo_tags):
        tags.setdefault(reference.familiar_name, []).append(reference.tag or "")
    for reference in _references(image.repo_digests):
        by_digest.setdefault(reference.familiar_name, []).append(str(reference.digest))
    if not tags and not by_digest:
        yield _NONE, _NONE, _NONE
    for repository, names in tags.items():
        known = by_digest.pop(repository, []) if digests else []
        by_digest.pop(repository, None)
        for name in names:
            for digest in known or [_NONE]:
                yield repository, name, digest
    for repository, known in by_digest.items():
        for digest in known if digests else [_NONE]:
            yield repository, _NONE, digest


def _references(names: Sequence[str]) -> Iterator[Reference]:
    for name in names:
        try:
            yield Reference.parse(name)
        except InvalidReference:
            # Another engine's idea of a name is no reason to show nothing.
            continue
