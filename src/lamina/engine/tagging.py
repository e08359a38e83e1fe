"""`image_tag`: another name for an image."""

from lamina.errors import InvalidParameter
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Image
from lamina.records.happenings import put_tag
from lamina.records.lookup import find_image, is_id_of
from lamina.records.records import Transaction


def parse_new_tag(repo: str, tag: str) -> Reference:
    """The name that ``repo`` and ``tag`` ask for, ``latest`` if neither has a tag.

    Raises InvalidReference, and InvalidParameter for names by digest.
    """
    reference = Reference.parse(repo)
    if tag:
        reference = reference.without_tag_and_digest().with_tag(tag)
    if reference.digest is not None:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return reference.with_default_tag()


def parse_import_name(repo: str, tag: str) -> Reference:
    """The name that an import asks for. Raises what `parse_new_tag` raises."""
    if Reference.parse(repo).digest is not None:
        raise InvalidParameter("cannot import digest reference")
    return parse_new_tag(repo, tag)


def tag_image(transaction: Transaction, name: str, repo: str, tag: str, now: int) -> None:
    """Let ``repo:tag`` lead to the image that `name` means.

    Raises ImageNotFound, InvalidReference, InvalidParameter.
    """
    catalogue = transaction.catalogue
    image = find_image(catalogue, name)
    reference = parse_new_tag(repo, tag)
    put_tag(transaction, image, reference, target=_target_of(catalogue, image, name), now=now)


def _target_of(catalogue: Catalogue, image: Image, name: str) -> Digest | None:
    """What the name that found the image came with, so that the new name can be pushed alike."""
    if is_id_of(image.id, name):
        return None
    reference = Reference.parse(name).with_default_tag()
    if reference.digest is not None:
        return reference.digest
    tag = catalogue.tag(reference)
    return None if tag is None else tag.target
