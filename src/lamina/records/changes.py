"""The ways the records change: each is a value that knows its SQL and its effect on a `Catalogue`.

A change is written inside a transaction and, once that is committed, applied to the catalogue in
memory; the two must say the same, which the tests check by reading the database anew.
"""

# A change's two methods are described once, by `Change`.
# ruff: noqa: D102

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import Insert, insert

from lamina.oci.digest import Digest
from lamina.records import schema
from lamina.records.catalogue import Catalogue, Image, Layer, Manifest, Tag
from lamina.records.containers import Container
from lamina.records.events import KEPT, forget_old

Row = Mapping[str, Any]


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
        layer, diff_id = self.layer, str(self.layer.diff_id)
        row = {"diff_id": diff_id, "size": layer.size, "tar_size": layer.tar_size}
        _put(connection, schema.layers, [row])
        _put(
            connection,
            schema.layer_blobs,
            [
                {
                    "digest": str(blob.digest),
                    "diff_id": diff_id,
                    "media_type": blob.media_type,
                    "size": blob.size,
                }
                for blob in layer.blobs
            ],
        )

    def apply(self, catalogue: Catalogue) -> None:
        layer = self.layer
        known = catalogue.layers.get(layer.diff_id)
        if known is not None:
            by_digest = {blob.digest: blob for blob in (*known.blobs, *layer.blobs)}
            layer = replace(layer, blobs=tuple(by_digest[digest] for digest in sorted(by_digest)))
        catalogue.add_layer(layer)


@dataclass(frozen=True, slots=True)
class RemoveLayer:
    """Forget a layer that no image has; its blobs become garbage."""

    diff_id: Digest

    def write(self, connection: Connection) -> None:
        row = {"diff_id": str(self.diff_id)}
        connection.execute(_FORGET_SOURCES, row)
        connection.execute(_delete(schema.kept_layers, "diff_id"), row)
        connection.execute(_delete(schema.layer_blobs, "diff_id"), row)
        connection.execute(_delete(schema.layers, "diff_id"), row)

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_layer(self.diff_id)


@dataclass(frozen=True, slots=True)
class KeepLayer:
    """Let a layer stay though no image has it yet; `time` in unix nanoseconds."""

    diff_id: Digest
    time: int

    def write(self, connection: Connection) -> None:
        _put(connection, schema.kept_layers, [{"diff_id": str(self.diff_id), "time": self.time}])

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.kept_layers[self.diff_id] = self.time


@dataclass(frozen=True, slots=True)
class ReleaseLayer:
    """Let a layer stay only as long as an image has it."""

    diff_id: Digest

    def write(self, connection: Connection) -> None:
        row = {"diff_id": str(self.diff_id)}
        connection.execute(_delete(schema.kept_layers, "diff_id"), row)

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.kept_layers.pop(self.diff_id, None)


@dataclass(frozen=True, slots=True)
class PutBlobSources:
    """Remember that the repository `name` has these blobs of layers; not part of the catalogue."""

    name: str
    digests: tuple[Digest, ...]

    def write(self, connection: Connection) -> None:
        rows = [{"digest": str(digest), "name": self.name} for digest in self.digests]
        _put(connection, schema.blob_sources, rows)

    def apply(self, catalogue: Catalogue) -> None:
        """Sources are read from the database."""


@dataclass(frozen=True, slots=True)
class PutImage:
    """Add an image, or replace what is known of it. Its layers must have been put before."""

    image: Image

    def write(self, connection: Connection) -> None:
        image, image_id = self.image, str(self.image.id)
        row = {
            "id": image_id,
            "parent": _text(image.parent),
            "created": image.created,
            "size": image.size,
            "os": image.platform.os,
            "architecture": image.platform.architecture,
            "variant": image.platform.variant,
            "labels": None if image.labels is None else dict(image.labels),
            "last_tagged": image.last_tagged,
            "locally_built": image.locally_built,
        }
        _put(connection, schema.images, [row])
        _put(
            connection,
            schema.image_layers,
            [
                {"image_id": image_id, "position": position, "diff_id": str(diff_id)}
                for position, diff_id in enumerate(image.diff_ids)
            ],
        )

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_image(self.image)


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Forget an image that has no names left. Its children lose their parent link."""

    image_id: Digest

    def write(self, connection: Connection) -> None:
        image_id = str(self.image_id)
        connection.execute(_delete(schema.image_layers, "image_id"), {"image_id": image_id})
        connection.execute(_ORPHAN, {"image_id": image_id})
        connection.execute(_delete(schema.images, "id"), {"id": image_id})

    def apply(self, catalogue: Catalogue) -> None:
        for child in catalogue.children(self.image_id):
            catalogue.add_image(replace(catalogue.images[child], parent=None))
        catalogue.remove_image(self.image_id)


@dataclass(frozen=True, slots=True)
class PutManifest:
    """Keep a manifest or an index."""

    manifest: Manifest

    def write(self, connection: Connection) -> None:
        manifest, digest = self.manifest, str(self.manifest.digest)
        row = {
            "digest": digest,
            "media_type": manifest.media_type,
            "size": manifest.size,
            "image_id": _text(manifest.image_id),
        }
        _put(connection, schema.manifests, [row])
        children = [{"parent": digest, "child": str(child)} for child in sorted(manifest.children)]
        _put(connection, schema.manifest_children, children)

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
        digest = str(self.digest)
        connection.execute(_delete(schema.manifest_children, "parent"), {"parent": digest})
        connection.execute(_delete(schema.manifests, "digest"), {"digest": digest})

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_manifest(self.digest)


@dataclass(frozen=True, slots=True)
class PutTag:
    """Let a tag lead to an image; one that exists moves."""

    name: str
    tag: str
    value: Tag

    def write(self, connection: Connection) -> None:
        row = {
            "name": self.name,
            "tag": self.tag,
            "image_id": str(self.value.image_id),
            "target": _text(self.value.target),
        }
        _put(connection, schema.tags, [row])

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_tag(self.name, self.tag, self.value)


@dataclass(frozen=True, slots=True)
class RemoveTag:
    """Take a tag away."""

    name: str
    tag: str

    def write(self, connection: Connection) -> None:
        row = {"name": self.name, "tag": self.tag}
        connection.execute(_delete(schema.tags, "name", "tag"), row)

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_tag(self.name, self.tag)


@dataclass(frozen=True, slots=True)
class PutRepoDigest:
    """Let a name by digest lead to an image."""

    name: str
    digest: Digest
    image_id: Digest

    def write(self, connection: Connection) -> None:
        row = {"name": self.name, "digest": str(self.digest), "image_id": str(self.image_id)}
        _put(connection, schema.repo_digests, [row])

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_repo_digest(self.name, self.digest, self.image_id)


@dataclass(frozen=True, slots=True)
class RemoveRepoDigest:
    """Take a name by digest away."""

    name: str
    digest: Digest

    def write(self, connection: Connection) -> None:
        row = {"name": self.name, "digest": str(self.digest)}
        connection.execute(_delete(schema.repo_digests, "name", "digest"), row)

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_repo_digest(self.name, self.digest)


@dataclass(frozen=True, slots=True)
class SetLastTagged:
    """Remember when an image was last given a tag here (unix nanoseconds)."""

    image_id: Digest
    time: int

    def write(self, connection: Connection) -> None:
        row = {"image_id": str(self.image_id), "time": self.time}
        connection.execute(_SET_LAST_TAGGED, row)

    def apply(self, catalogue: Catalogue) -> None:
        image = catalogue.images[self.image_id]
        catalogue.images[self.image_id] = replace(image, last_tagged=self.time)


@dataclass(frozen=True, slots=True)
class PutContainer:
    """Add a container, or replace what is known of it. Its name must be free, or its own."""

    container: Container

    def write(self, connection: Connection) -> None:
        container = self.container
        row = {
            "id": container.id,
            "name": container.name,
            "image_id": _text(container.image_id) or "",
            "created": container.created,
            "status": container.status,
            "process": container.process,
            "snapshot": container.snapshot,
            "diff_ids": [str(diff_id) for diff_id in container.diff_ids],
            "labels": dict(container.labels),
            "settings": container.settings,
            "state": container.state,
        }
        _put(connection, schema.containers, [row])

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.add_container(self.container)


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget a container."""

    container_id: str

    def write(self, connection: Connection) -> None:
        connection.execute(_delete(schema.containers, "id"), {"id": self.container_id})

    def apply(self, catalogue: Catalogue) -> None:
        catalogue.remove_container(self.container_id)


@dataclass(frozen=True, slots=True)
class AddEvent:
    """Tell that something happened; kept for `GET /events`, not part of the catalogue."""

    time: int
    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]

    def write(self, connection: Connection) -> None:
        row = {
            "time": self.time,
            "type": self.type,
            "action": self.action,
            "actor_id": self.actor_id,
            "attributes": self.attributes,
        }
        newest: int = connection.execute(_ADD_EVENT, row).scalar_one()
        if newest % (KEPT // 4) == 0:
            forget_old(connection, newest)

    def apply(self, catalogue: Catalogue) -> None:
        """Events are read from the database."""


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def _put(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows, or replace those with the same primary keys."""
    for row in rows:
        connection.execute(_upsert(table), row)


@cache
def _upsert(table: Table) -> Insert:
    """The statement which inserts a row, or replaces the one with the same primary key.

    Statements are made once: building one costs more than running it.
    """
    keys = [column.name for column in table.primary_key]
    statement = insert(table).values({column.name: bindparam(column.name) for column in table.c})
    others = {
        column.name: statement.excluded[column.name]
        for column in table.c
        if column.name not in keys
    }
    if not others:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


@cache
def _delete(table: Table, *columns: str) -> Delete:
    """The statement which deletes the rows that have given values in `columns`."""
    return delete(table).where(*(table.c[column] == bindparam(column) for column in columns))


_FORGET_SOURCES = delete(schema.blob_sources).where(
    schema.blob_sources.c.digest.in_(
        select(schema.layer_blobs.c.digest).where(
            schema.layer_blobs.c.diff_id == bindparam("diff_id")
        )
    )
)
_ORPHAN = (
    update(schema.images).where(schema.images.c.parent == bindparam("image_id")).values(parent=None)
)
_SET_LAST_TAGGED = (
    update(schema.images)
    .where(schema.images.c.id == bindparam("image_id"))
    .values(last_tagged=bindparam("time"))
)
_ADD_EVENT = (
    insert(schema.events)
    .values(
        {name: bindparam(name) for name in ("time", "type", "action", "actor_id", "attributes")}
    )
    .returning(schema.events.c.sequence)
)
