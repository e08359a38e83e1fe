"""`image_list`: which images are shown, and how."""

from collections import Counter
from collections.abc import Iterator, Mapping

from lamina.engine.filters import FilterSet, glob, parse_time
from lamina.image_api import Filters
from lamina.models import ImageSummary
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.oci.timestamp import ZERO_UNIX
from lamina.records.catalogue import Catalogue, Image
from lamina.records.lookup import find_image

_ACCEPTED = ("before", "dangling", "label", "reference", "since", "until")


def list_images(
    catalogue: Catalogue, *, all_images: bool, filters: Filters | None, shared_size: bool, now: int
) -> list[ImageSummary]:
    """The images that `filters` let through, newest first.

    Raises InvalidFilter, InvalidParameter (bad pattern or time), ImageNotFound (before, since).
    """
    checked = FilterSet.check(filters, _ACCEPTED)
    selection = _Selection(catalogue, checked, all_images=all_images, now=now)
    shown = list(selection.images())
    summaries = [_summary(image, names) for image, names in shown]
    if shared_size:
        users = Counter(chain_id for image, _ in shown for chain_id in image.chain_ids)
        for summary, (image, _) in zip(summaries, shown, strict=True):
            summary.shared_size = _shared_size(catalogue, image, users)
    summaries.sort(key=lambda summary: (-summary.created, summary.id))
    return summaries


def _shared_size(catalogue: Catalogue, image: Image, users: Mapping[Digest, int]) -> int:
    """Bytes in layers on which other images stand too; as in dockerd, of those that are shown."""
    return sum(
        catalogue.layers[diff_id].size
        for diff_id, chain_id in zip(image.diff_ids, image.chain_ids, strict=True)
        if users[chain_id] > 1
    )


class _Selection:
    """The filters of one call, each looked at once."""

    def __init__(
        self, catalogue: Catalogue, filters: FilterSet, *, all_images: bool, now: int
    ) -> None:
        self._catalogue = catalogue
        self._filters = filters
        self._all = all_images
        self._dangling_only = filters.boolean("dangling", default=False)
        self._named_only = "reference" in filters or (
            "dangling" in filters and not self._dangling_only
        )
        self._patterns = [glob(pattern) for pattern in filters["reference"]]
        bounds = [find_image(catalogue, name).age_key for name in filters["before"]]
        bounds += [parse_time(text, now) for text in filters["until"]]
        self._before = min(bounds, default=None)
        self._since = max(
            (find_image(catalogue, name).age_key for name in filters["since"]), default=None
        )

    def images(self) -> Iterator[tuple[Image, tuple[Reference, ...]]]:
        """The images to show, each with the names to show."""
        for image in self._catalogue.images.values():
            if not self._is_wanted(image):
                continue
            names = self._catalogue.names(image.id)
            if self._patterns:
                names = tuple(name for name in names if self._matches(name))
            if self._is_shown(image, names):
                yield image, names

    def _is_wanted(self, image: Image) -> bool:
        created = image.age_key
        return (
            (self._before is None or created < self._before)
            and (self._since is None or created > self._since)
            and self._filters.matches_labels(image.labels)
        )

    def _matches(self, name: Reference) -> bool:
        return any(
            matches(name.familiar) or matches(name.familiar_name) for matches in self._patterns
        )

    def _is_shown(self, image: Image, names: tuple[Reference, ...]) -> bool:
        has_children = bool(self._catalogue.children(image.id))
        if self._dangling_only and (has_children or any(name.tag for name in names)):
            return False
        if names:
            return True
        return not self._named_only and (self._all or not has_children)


def _summary(image: Image, names: tuple[Reference, ...]) -> ImageSummary:
    return ImageSummary(
        id=str(image.id),
        parent_id="" if image.parent is None else str(image.parent),
        repo_tags=[name.familiar for name in names if name.digest is None],
        repo_digests=[name.familiar for name in names if name.digest is not None],
        created=ZERO_UNIX if image.created is None else image.created // 1_000_000_000,
        size=image.size,
        virtual_size=image.size,
        labels=None if image.labels is None else dict(image.labels),
        containers=-1,
    )
