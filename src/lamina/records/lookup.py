"""Finding the image that a name means, by the rules of dockerd's classic image store."""

import re
from collections.abc import Iterable, Iterator

from lamina.errors import ImageNotFound, NotFound
from lamina.oci.digest import Digest, is_digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Image

_FULL_ID = re.compile(r"[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


def find_image(catalogue: Catalogue, name: str) -> Image:
    """The image that `name` means.

    A full ID, else a reference (``latest`` by default), else the beginning of an ID. Raises
    ImageNotFound (also where several IDs begin so), InvalidReference.
    """
    if _FULL_ID.fullmatch(name):
        return _by_id(catalogue, Digest.parse(f"sha256:{name}"))
    if is_digest(name):
        return _by_id(catalogue, Digest.parse(name))
    reference = Reference.parse(name).with_default_tag()
    image_id = image_of_reference(catalogue, reference)
    if image_id is None:
        image_id = _by_prefix(catalogue, name)
    if image_id is None:
        raise ImageNotFound(reference.familiar)
    return catalogue.images[image_id]


def image_of_reference(catalogue: Catalogue, reference: Reference) -> Digest | None:
    """Where a reference leads; its digest decides if it has one."""
    if reference.digest is not None:
        return catalogue.repo_digests.get(reference.name, {}).get(reference.digest)
    tag = catalogue.tag(reference)
    return None if tag is None else tag.image_id


def is_id_of(image_id: Digest, name: str) -> bool:
    """Whether `name` is the image's ID or the beginning of it, with or without the algorithm."""
    return str(image_id).startswith(name) or image_id.hex.startswith(name)


def find_images(catalogue: Catalogue, names: Iterable[str]) -> dict[Digest, tuple[Reference, ...]]:
    """The images that `names` mean together, each with the tags among those names, in their order.

    A bare repository name means all its tags; an ID gives an image no tag. Raises ImageNotFound,
    InvalidReference, and NotFound for a tag or digest that does not exist.
    """
    found: dict[Digest, tuple[Reference, ...]] = {}
    for name in names:
        for image_id, tag in _named(catalogue, name):
            known = found.setdefault(image_id, ())
            if tag is not None and tag not in known:
                found[image_id] = (*known, tag)
    return found


def _named(catalogue: Catalogue, name: str) -> Iterator[tuple[Digest, Reference | None]]:
    """The images one name means, with the tag it names them by."""
    if _FULL_ID.fullmatch(name) or is_digest(name):
        yield _by_id(catalogue, Digest.parse(name if ":" in name else f"sha256:{name}")).id, None
        return
    reference = Reference.parse(name)
    image_id: Digest | None
    if reference.is_bare or reference.familiar_name == "sha256":
        references = list(_references_of_repository(catalogue, reference))
        yield from references
        if not references:
            image_id = _by_prefix(catalogue, name)
            if image_id is None:
                raise ImageNotFound(name)
            yield image_id, None
        return
    image_id = image_of_reference(catalogue, reference)
    if image_id is None:
        raise NotFound("reference does not exist")
    yield image_id, reference if reference.digest is None else None


def _references_of_repository(
    catalogue: Catalogue, repository: Reference
) -> Iterator[tuple[Digest, Reference | None]]:
    for tag, value in sorted(catalogue.tags.get(repository.name, {}).items()):
        yield value.image_id, repository.without_tag_and_digest().with_tag(tag)
    for _, image_id in sorted(catalogue.repo_digests.get(repository.name, {}).items()):
        yield image_id, None


def _by_id(catalogue: Catalogue, image_id: Digest) -> Image:
    image = catalogue.images.get(image_id)
    if image is None:
        raise ImageNotFound(str(image_id))
    return image


def _by_prefix(catalogue: Catalogue, name: str) -> Digest | None:
    match = _ID_PREFIX.fullmatch(name)
    if match is None:
        return None
    candidates = list(catalogue.ids_with_prefix(match[1]))
    return candidates[0] if len(candidates) == 1 else None
