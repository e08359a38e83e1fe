"""`image_delete` and `image_prune`: which names and images go, by dockerd's rules.

The rules look at names and images as they are after the steps before; `Deletion` holds that state
in front of the catalogue and collects the changes that lead to it.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from lamina.engine.filters import FilterSet, prunable
from lamina.engine.pruning import prune_event
from lamina.errors import Conflict
from lamina.image_api import Filters
from lamina.models import ImageDeleteResponseItem, ImagePruneResponse
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Image
from lamina.records.changes import (
    Change,
    RemoveImage,
    RemoveRepoDigest,
    RemoveTag,
)
from lamina.records.happenings import image_event
from lamina.records.lookup import find_image, is_id_of

_PRUNE_FILTERS = ("dangling", "label", "label!", "until")


class Deletion:
    """Deletions in progress: the catalogue less what was removed already."""

    def __init__(self, catalogue: Catalogue, now: int) -> None:
        self._catalogue = catalogue
        self._now = now
        self._gone_images: set[Digest] = set()
        self._gone_chains: Counter[Digest] = Counter()
        self._gone_names: set[Reference] = set()
        self.changes: list[Change] = []

    def delete(self, name: str, *, force: bool, noprune: bool) -> list[ImageDeleteResponseItem]:
        """Remove what `name` means: a reference, or an image with all of its names.

        Raises ImageNotFound, Conflict.
        """
        image = find_image(self._catalogue, name)
        items: list[ImageDeleteResponseItem] = []
        if not is_id_of(image.id, name):
            if not force and _is_single_reference(self._names(image)):
                self._check_use(image, name)
            self._untag_named(image, Reference.parse(name).with_default_tag(), items)
            if self._names(image):
                return items
            self._delete(image, items, force=force, prune=not noprune, quiet=True)
            return items
        if _is_single_reference(self._names(image)):
            self._check(image, references=False, stopped=not force)
            self._untag_all(image, items)
        self._delete(image, items, force=force, prune=not noprune, quiet=False)
        return items

    def prune(self, filters: Filters | None) -> ImagePruneResponse:
        """Remove every unused image that `filters` let through. InvalidFilter, InvalidParameter."""
        checked = FilterSet.check(filters, _PRUNE_FILTERS)
        wanted = prunable(checked, self._now)
        dangling_only = checked.boolean("dangling", default=True)
        items: list[ImageDeleteResponseItem] = []
        for image in list(self._catalogue.images.values()):
            needed = self._children(image) and (dangling_only or not self._names(image))
            if wanted(image.age_key, image.labels) and not needed:
                items += self._prune_one(image, dangling_only=dangling_only)
        freed = self._size_of_layers(items)
        self.changes.append(prune_event("image", freed, self._now))
        return ImagePruneResponse(images_deleted=items or None, space_reclaimed=freed)

    def _prune_one(self, image: Image, *, dangling_only: bool) -> list[ImageDeleteResponseItem]:
        if image.id in self._gone_images:
            return []
        names = self._names(image)
        if dangling_only and any(name.tag for name in names):
            return []
        items: list[ImageDeleteResponseItem] = []
        try:
            for name in names:
                if name not in self._gone_names:
                    items += self.delete(str(name), force=False, noprune=False)
            if not names:
                items += self.delete(str(image.id), force=False, noprune=False)
        except Conflict:
            # An image that something needs is not unused: it stays.
            return items
        return items

    def _untag_named(
        self, image: Image, reference: Reference, items: list[ImageDeleteResponseItem]
    ) -> None:
        """Remove one name, and with the last tag of a repository its names by digest."""
        self._untag(reference, items)
        self._tell("untag", image)
        if reference.digest is not None:
            return
        same_repository = [name for name in self._names(image) if name.name == reference.name]
        if not any(name.digest is None for name in same_repository):
            for name in same_repository:
                self._untag(name, items)

    def _untag_all(self, image: Image, items: list[ImageDeleteResponseItem]) -> None:
        for name in self._names(image):
            self._untag(name, items)
            self._tell("untag", image)

    def _untag(self, reference: Reference, items: list[ImageDeleteResponseItem]) -> None:
        if (digest := reference.digest) is not None:
            reference = reference.without_tag_and_digest().with_digest(digest)
            self.changes.append(RemoveRepoDigest(reference.name, digest))
        elif reference.tag is not None:
            self.changes.append(RemoveTag(reference.name, reference.tag))
        self._gone_names.add(reference)
        items.append(ImageDeleteResponseItem(untagged=reference.familiar))

    def _delete(
        self,
        image: Image,
        items: list[ImageDeleteResponseItem],
        *,
        force: bool,
        prune: bool,
        quiet: bool,
    ) -> None:
        """Remove an image, then the parents that only it needed."""
        try:
            self._check(image, references=not force, stopped=not force)
        except Conflict:
            if quiet:
                return
            raise
        self._remove(image, items)
        # One after the other: a Dockerfile may have more steps than calls can be within each other.
        with suppress(Conflict):
            while prune and (parent := self._parent(image)) is not None:
                self._check(parent, references=True, stopped=True)
                self._remove(parent, items)
                image = parent

    def _remove(self, image: Image, items: list[ImageDeleteResponseItem]) -> None:
        self._untag_all(image, items)
        freed = self._freed_layers(image)
        self._gone_images.add(image.id)
        self._gone_chains.update(image.chain_ids)
        self.changes.append(RemoveImage(image.id))
        self._tell("delete", image)
        items.append(ImageDeleteResponseItem(deleted=str(image.id)))
        items.extend(ImageDeleteResponseItem(deleted=str(chain_id)) for chain_id in freed)

    def _parent(self, image: Image) -> Image | None:
        return None if image.parent is None else self._catalogue.images.get(image.parent)

    def _check_use(self, image: Image, name: str) -> None:
        """Raise Conflict if a container uses the image whose only name is to go."""
        for container in self._catalogue.containers_of(image.id):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force)'
                f" - container {container.id[:12]} is using its referenced image {image.id.short}"
            )

    def _check(self, image: Image, *, references: bool, stopped: bool) -> None:
        """Raise Conflict if something stands in the way of deleting an image.

        `references` and `stopped`: whether names and containers that do not run do.
        """
        short = image.id.short
        containers = self._catalogue.containers_of(image.id)
        if self._children(image):
            raise Conflict(
                f"conflict: unable to delete {short} (cannot be forced)"
                " - image has dependent child images"
            )
        for container in containers:
            if container.is_running:
                raise Conflict(
                    f"conflict: unable to delete {short} (cannot be forced)"
                    f" - image is being used by running container {container.id[:12]}"
                )
        if references and self._names(image):
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced)"
                " - image is referenced in multiple repositories"
            )
        for container in containers if stopped else ():
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced)"
                f" - image is being used by stopped container {container.id[:12]}"
            )

    def _tell(self, action: str, image: Image) -> None:
        known = None if image.id in self._gone_images else image
        event = image_event(action, known, actor=image.id, name=str(image.id), time=self._now)
        self.changes.append(event)

    def _names(self, image: Image) -> list[Reference]:
        return [name for name in self._catalogue.names(image.id) if name not in self._gone_names]

    def _children(self, image: Image) -> frozenset[Digest]:
        return self._catalogue.children(image.id) - self._gone_images

    def _freed_layers(self, image: Image) -> list[Digest]:
        """The chain IDs that only this image still used, and no container does, top first."""
        freed = []
        for depth in range(len(image.chain_ids), 0, -1):
            chain_id = image.chain_ids[depth - 1]
            if self._catalogue.chain_users(chain_id) - self._gone_chains[chain_id] > 1:
                break
            if self._stands_on(image.diff_ids[:depth]):
                break
            freed.append(chain_id)
        return freed

    def _stands_on(self, diff_ids: tuple[Digest, ...]) -> bool:
        """Whether a container's root filesystem begins with these layers."""
        return any(
            container.diff_ids[: len(diff_ids)] == diff_ids
            for container in self._catalogue.containers.values()
        )

    def _size_of_layers(self, items: Iterable[ImageDeleteResponseItem]) -> int:
        sizes = {
            str(chain_id): self._catalogue.layers[diff_id].size
            for image_id in self._gone_images
            for chain_id, diff_id in zip(
                self._catalogue.images[image_id].chain_ids,
                self._catalogue.images[image_id].diff_ids,
                strict=True,
            )
        }
        return sum(sizes.get(item.deleted, 0) for item in items)


def _is_single_reference(names: list[Reference]) -> bool:
    """Whether all names lie in one repository and at most one of them is a tag."""
    tags = [name for name in names if name.digest is None]
    repositories = {name.name for name in names}
    return len(names) <= 1 or (len(tags) <= 1 and len(repositories) == 1)
