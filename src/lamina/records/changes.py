"""The ways the records change: each is a value that knows its SQL and its effect on a `Catalogue`.

A change is written inside a transaction and, once that is committed, applied to the catalogue in
memory; the two must say the same, which the tests check by reading the database anew.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection, Table, delete, insert, update
from sqlalchemy.dialects.sqlite import insert as upsert

from lamina.oci.digest import Digest
from lamina.records import schema
from lamina.records.catalogue import Catalogue, Image, Layer, Manifest, Tag
from lamina.records.events import KEPT, forget_old


class Change(Protocol):
    """One change of the records."""

    def write(self, connection: Connection) -> None:
        """Put it into the database."""
        ...

    def apply(self, catalogue: Catalogue) -> None:
        """Put it into memory, after the transaction was committed."""
        ...


@dataclass(frozen=True, slots=True)
class PutLayer:
    """Add a layer, or further blobs to a layer that is known."""

    layer: Layer

    def write(self, connection: Connection) -> None:
        layer = self.layer
        _put(
            connection,
            schema.layers,
            {"diff_id": str(layer.diff_id), "size": layer.size, "tar_size": layer.tar_size},
        )
        for blob in layer.blobs:
            _put(
                connection,
                schema.layer_blobs,
                {
                    "digest": str(blob.digest),
                    "diff_id": str(layer.diff_id),
                    "media_type": blob.media_type,
                    "size": blob.size,
                },
            )

    def apply(self, catalogue: Catalogue) -> None:
        layer = self.layer
        known = catalogue.layers.get(layer.diff_id)
        if known is not None:
            by_digest = {blob.digest: blob for blob in (*known.blobs, *layer.blobs)}
            blobs = tuple(by_digest[digest] for digest in sorted(by_digest, key=str))
            layer = replace(layer, blobs=blobs)
        catalogue.add_layer(layer)


@dataclass(frozen=True, slots=True)
class RemoveLayer:
    """Forget a layer that no image has; its blobs become garbage."""

    diff_id: Digest

    def write(self, connection: Connection) -> None:
        text = str(self.diff_id)
        connection.execute(delete(schema.layer_blobs).where(schema.layer_blobs.c.diff_id == text))
        connection.execute(delete(schema.layers).where(schema.layers.c.diff_id == text))

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_layer(self.diff_id)


@dataclass(frozen=True, slots=True)
class PutImage:
    """Add an image, or replace what is known of it. Its layers must have been put before."""

    image: Image

    def write(self, connection: Connection) -> None:
        image = self.image
        _put(
            connection,
            schema.images,
            {
                "id": str(image.id),
                "parent": None if image.parent is None else str(image.parent),
                "created": image.created,
                "size": image.size,
                "os": image.platform.os,
                "architecture": image.platform.architecture,
                "variant": image.platform.variant,
                "labels": None if image.labels is None else dict(image.labels),
                "last_tagged": image.last_tagged,
                "locally_built": image.locally_built,
            },
        )
        for position, diff_id in enumerate(image.diff_ids):
            _put(
                connection,
                schema.image_layers,
                {"image_id": str(image.id), "position": position, "diff_id": str(diff_id)},
            )

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_image(self.image)


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Forget an image that has no names left. Its children lose their parent link."""

    image_id: Digest

    def write(self, connection: Connection) -> None:
        text = str(self.image_id)
        images, rows = schema.images, schema.image_layers
        connection.execute(delete(rows).where(rows.c.image_id == text))
        connection.execute(update(images).where(images.c.parent == text).values(parent=None))
        connection.execute(delete(images).where(images.c.id == text))

    def apply(self, catalogue: Catalogue) -> None:
        for child in catalogue.children(self.image_id):
            catalogue.add_image(replace(catalogue.images[child], parent=None))
        catalogue.remove_image(self.image_id)


@dataclass(frozen=True, slots=True)
class PutManifest:
    """Keep a manifest or an index."""

    manifest: Manifest

    def write(self, connection: Connection) -> None:
        manifest = self.manifest
        image_id = manifest.image_id
        _put(
            connection,
            schema.manifests,
            {
                "digest": str(manifest.digest),
                "media_type": manifest.media_type,
                "size": manifest.size,
                "image_id": None if image_id is None else str(image_id),
            },
        )
        for child in sorted(manifest.children, key=str):
            _put(
                connection,
                schema.manifest_children,
                {"parent": str(manifest.digest), "child": str(child)},
            )

    def apply(self, catalogue: Catalogue) -> None:
        manifest = self.manifest
        known = catalogue.manifests.get(manifest.digest)
        if known is not None:
            manifest = replace(manifest, children=manifest.children | known.children)
        catalogue.add_manifest(manifest)


@dataclass(frozen=True, slots=True)
class RemoveManifest:
    """Forget a manifest or an index."""

    digest: Digest

    def write(self, connection: Connection) -> None:
        text = str(self.digest)
        rows = schema.manifest_children
        connection.execute(delete(rows).where(rows.c.parent == text))
        connection.execute(delete(schema.manifests).where(schema.manifests.c.digest == text))

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_manifest(self.digest)


@dataclass(frozen=True, slots=True)
class PutTag:
    """Let a tag lead to an image; one that exists moves."""

    name: str
    tag: str
    value: Tag

    def write(self, connection: Connection) -> None:
        target = self.value.target
        _put(
            connection,
            schema.tags,
            {
                "name": self.name,
                "tag": self.tag,
                "image_id": str(self.value.image_id),
                "target": None if target is None else str(target),
            },
        )

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_tag(self.name, self.tag, self.value)


@dataclass(frozen=True, slots=True)
class RemoveTag:
    """Take a tag away."""

    name: str
    tag: str

    def write(self, connection: Connection) -> None:
        rows = schema.tags
        connection.execute(delete(rows).where(rows.c.name == self.name, rows.c.tag == self.tag))

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_tag(self.name, self.tag)


@dataclass(frozen=True, slots=True)
class PutRepoDigest:
    """Let a name by digest lead to an image."""

    name: str
    digest: Digest
    image_id: Digest

    def write(self, connection: Connection) -> None:
        _put(
            connection,
            schema.repo_digests,
            {"name": self.name, "digest": str(self.digest), "image_id": str(self.image_id)},
        )

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_repo_digest(self.name, self.digest, self.image_id)


@dataclass(frozen=True, slots=True)
class RemoveRepoDigest:
    """Take a name by digest away."""

    name: str
    digest: Digest

    def write(self, connection: Connection) -> None:
        rows = schema.repo_digests
        connection.execute(
            delete(rows).where(rows.c.name == self.name, rows.c.digest == str(self.digest))
        )

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_repo_digest(self.name, self.digest)


@dataclass(frozen=True, slots=True)
class SetLastTagged:
    """Remember when an image was last given a tag here (unix nanoseconds)."""

    image_id: Digest
    time: int

    def write(self, connection: Connection) -> None:
        images = schema.images
        connection.execute(
            update(images).where(images.c.id == str(self.image_id)).values(last_tagged=self.time)
        )

    def apply(self, catalogue: Catalogue) -> None:
        image = catalogue.images[self.image_id]
        catalogue.images[self.image_id] = replace(image, last_tagged=self.time)


@dataclass(frozen=True, slots=True)
class AddEvent:
    """Tell that something happened; kept for `GET /events`, not part of the catalogue."""

    time: int
    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]

    def write(self, connection: Connection) -> None:
        newest = connection.execute(
            insert(schema.events)
            .values(
                time=self.time,
                type=self.type,
                action=self.action,
                actor_id=self.actor_id,
                attributes=self.attributes,
            )
            .returning(schema.events.c.sequence)
        ).scalar_one()
        if newest % (KEPT // 4) == 0:
            forget_old(connection, newest)

    def apply(self, catalogue: Catalogue) -> None:
        """Events are read from the database."""


def _put(connection: Connection, table: Table, values: dict[str, object]) -> None:
    """Insert a row, or replace the one with the same primary key."""
    keys = [column.name for column in table.primary_key]
    others = {name: value for name, value in values.items() if name not in keys}
    statement = upsert(table).values(values)
    if others:
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others))
    else:
        connection.execute(statement.on_conflict_do_nothing())
