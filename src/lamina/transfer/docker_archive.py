"""`docker save`'s format: ``manifest.json`` names configurations, layers and tags."""

from collections.abc import Sequence

import msgspec

from lamina.errors import InvalidArchive, InvalidReference, LaminaError
from lamina.oci import jsontext
from lamina.oci.digest import Digest, is_digest
from lamina.oci.reference import Reference
from lamina.transfer.archived import ArchivedImage, Configs
from lamina.transfer.members import Members

MANIFEST = "manifest.json"


class _ReadItem(msgspec.Struct, rename="pascal"):
    """One image of somebody's ``manifest.json``."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None
    parent: str = ""


class Item(msgspec.Struct, rename="pascal"):
    """One image of ``manifest.json``; `layers` and `config` are paths in the archive."""

    config: str
    repo_tags: list[str] | None
    layers: list[str] | None
    parent: str | msgspec.UnsetType = msgspec.UNSET


_ITEMS: msgspec.json.Decoder[list[_ReadItem] | None] = msgspec.json.Decoder(list[_ReadItem] | None)


def read_docker_archive(members: Members, manifest: bytes) -> list[ArchivedImage]:
    """The images that ``manifest.json`` lists. Raises InvalidArchive."""
    items = jsontext.decode(_ITEMS, manifest, what=MANIFEST)
    configs = Configs(members)
    return [_image(configs, item) for item in items or ()]


def claimed_diff_ids(members: Members) -> dict[str, Digest]:
    """The diff IDs of layers by their path, as far as these members tell; nothing is checked."""
    claims: dict[str, Digest] = {}
    try:
        manifest = members.document(MANIFEST)
        items = None if manifest is None else jsontext.decode(_ITEMS, manifest, what=MANIFEST)
        configs = Configs(members)
        for item in items or ():
            if members.resolve(item.config) is not None:
                claims.update(
                    zip(item.layers or (), configs.get(item.config).diff_ids, strict=False)
                )
    except LaminaError:
        # What is wrong will be told when all members are there.
        return claims
    return claims


def encode_manifest(items: Sequence[Item]) -> bytes:
    """``manifest.json``, as Go writes it."""
    return msgspec.json.encode(items) + b"\n"


def parse_tag(text: str) -> Reference:
    """A name as archives write it: with a tag. Raises InvalidArchive."""
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        raise InvalidArchive(str(error)) from error
    if reference.tag is None or reference.digest is not None:
        raise InvalidArchive(f'invalid tag "{text}"')
    return reference


def _image(configs: Configs, item: _ReadItem) -> ArchivedImage:
    if item.parent and not is_digest(item.parent):
        raise InvalidArchive(f'invalid parent "{item.parent}"')
    return ArchivedImage(
        config=configs.get(item.config),
        layers=tuple(item.layers or ()),
        names=tuple(parse_tag(text) for text in item.repo_tags or ()),
        parent=Digest.parse(item.parent) if item.parent else None,
    )
