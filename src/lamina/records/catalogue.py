"""The records in memory: what every read works on.

A `Catalogue` is the content of the database at one generation. It is changed only by `changes`, on
the event loop, after they were committed; so whoever reads it without awaiting sees one state.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from lamina.oci.digest import Digest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.oci.rootfs import chain_ids
from lamina.oci.timestamp import ZERO_UNIX
from lamina.records import schema
from lamina.records.containers import Container


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A blob that holds a layer, in the compression its media type names."""

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer by its diff ID, and the blobs that hold it (never none)."""

    diff_id: Digest
    size: int
    tar_size: int
    blobs: tuple[LayerBlob, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """What the records keep of an image; its configuration is the blob named by `id`."""

    id: Digest
    parent: Digest | None
    created: int | None
    """Unix nanoseconds, as the configuration states; None where it states nothing."""
    size: int
    platform: Platform
    labels: Mapping[str, str] | None
    last_tagged: int | None
    locally_built: bool
    diff_ids: tuple[Digest, ...]
    chain_ids: tuple[Digest, ...]

    @property
    def age_key(self) -> int:
        """`created`, to be compared: what tells no time is older than everything."""
        return ZERO_UNIX * 1_000_000_000 if self.created is None else self.created


@dataclass(frozen=True, slots=True)
class Tag:
    """Where a tag leads: an image, and the manifest or index it came with."""

    image_id: Digest
    target: Digest | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A kept manifest or index; `children` are the digests of what it refers to and we hold."""

    digest: Digest
    media_type: str
    size: int
    image_id: Digest | None
    children: frozenset[Digest]


@dataclass(slots=True)
class Catalogue:
    """All records at one generation, with the indexes that reads need."""

    generation: int = 0
    images: dict[Digest, Image] = field(default_factory=dict)
    layers: dict[Digest, Layer] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tags: dict[str, dict[str, Tag]] = field(default_factory=dict)
    repo_digests: dict[str, dict[Digest, Digest]] = field(default_factory=dict)
    kept_layers: dict[Digest, int] = field(default_factory=dict)
    """Layers that stay for a pull to be taken up again, by diff ID: since when (unix ns)."""
    containers: dict[str, Container] = field(default_factory=dict)
    container_names: dict[str, str] = field(default_factory=dict)
    """Container names, and whose ID each leads to."""
    _layer_blobs: dict[Digest, Digest] = field(default_factory=dict)
    _image_manifests: defaultdict[Digest, set[Digest]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _children: defaultdict[Digest, set[Digest]] = field(default_factory=lambda: defaultdict(set))
    _chain_users: defaultdict[Digest, int] = field(default_factory=lambda: defaultdict(int))
    _names: defaultdict[Digest, set[Reference]] = field(default_factory=lambda: defaultdict(set))
    _sorted_names: dict[Digest, tuple[Reference, ...]] = field(default_factory=dict)
    _sorted_ids: list[str] | None = None

    def names(self, image_id: Digest) -> tuple[Reference, ...]:
        """Every tag and digest reference of an image, in the order of their canonical text."""
        names = self._sorted_names.get(image_id)
        if names is None:
            names = tuple(sorted(self._names.get(image_id, ()), key=str))
            self._sorted_names[image_id] = names
        return names

    def children(self, image_id: Digest) -> frozenset[Digest]:
        """The images built on this one, as far as their parent link says so."""
        return frozenset(self._children.get(image_id, ()))

    def chain_users(self, chain_id: Digest) -> int:
        """How many images have the stack of layers that `chain_id` names."""
        return self._chain_users.get(chain_id, 0)

    def ids_with_prefix(self, prefix: str) -> Iterator[Digest]:
        """The image IDs whose hexadecimal part begins with `prefix`, in order."""
        if self._sorted_ids is None:
            self._sorted_ids = sorted(image_id.hex for image_id in self.images)
        ids = self._sorted_ids
        for position in range(bisect_left(ids, prefix), len(ids)):
            if not ids[position].startswith(prefix):
                return
            yield Digest.parse(f"sha256:{ids[position]}")

    def tag(self, reference: Reference) -> Tag | None:
        """Where a tagged reference leads."""
        if reference.tag is None:
            return None
        return self.tags.get(reference.name, {}).get(reference.tag)

    def manifests_of(self, image_id: Digest) -> list[Manifest]:
        """The manifests that an image came with."""
        return [self.manifests[digest] for digest in self._image_manifests.get(image_id, ())]

    def layer_of_blob(self, blob: Digest) -> Layer | None:
        """The layer that a blob holds."""
        diff_id = self._layer_blobs.get(blob)
        return None if diff_id is None else self.layers[diff_id]

    def containers_of(self, image_id: Digest) -> list[Container]:
        """The containers that were made of an image, oldest first."""
        found = [c for c in self.containers.values() if c.image_id == image_id]
        return sorted(found, key=lambda container: container.created)

    # What `changes` call; nobody else.

    def add_layer(self, layer: Layer) -> None:
        """Add a layer, or replace it."""
        self.layers[layer.diff_id] = layer
        self._layer_blobs.update((blob.digest, layer.diff_id) for blob in layer.blobs)

    def remove_layer(self, diff_id: Digest) -> None:
        """Forget a layer, if it is there."""
        self.kept_layers.pop(diff_id, None)
        layer = self.layers.pop(diff_id, None)
        for blob in layer.blobs if layer else ():
            self._layer_blobs.pop(blob.digest, None)

    def add_image(self, image: Image) -> None:
        """Add an image, or replace it."""
        self.remove_image(image.id)
        self.images[image.id] = image
        if image.parent is not None:
            self._children[image.parent].add(image.id)
        for chain_id in image.chain_ids:
            self._chain_users[chain_id] += 1
        self._sorted_ids = None

    def remove_image(self, image_id: Digest) -> None:
        """Forget an image, if it is there; its names are the caller's to remove before."""
        image = self.images.pop(image_id, None)
        if image is None:
            return
        if image.parent is not None:
            self._children[image.parent].discard(image_id)
        for chain_id in image.chain_ids:
            self._chain_users[chain_id] -= 1
            if not self._chain_users[chain_id]:
                del self._chain_users[chain_id]
        self._sorted_ids = None

    def add_manifest(self, manifest: Manifest) -> None:
        """Add a manifest or index, or replace it."""
        self.remove_manifest(manifest.digest)
        self.manifests[manifest.digest] = manifest
        if manifest.image_id is not None:
            self._image_manifests[manifest.image_id].add(manifest.digest)

    def remove_manifest(self, digest: Digest) -> None:
        """Forget a manifest or index, if it is there."""
        old = self.manifests.pop(digest, None)
        if old is not None and old.image_id is not None:
            self._image_manifests[old.image_id].discard(digest)

    def add_tag(self, name: str, tag: str, value: Tag) -> None:
        """Let a tag of the repository `name` lead to `value`; one that exists moves."""
        self.remove_tag(name, tag)
        self.tags.setdefault(name, {})[tag] = value
        self._add_name(value.image_id, Reference.parse(name).with_tag(tag))

    def remove_tag(self, name: str, tag: str) -> None:
        """Take a tag away, if it is there."""
        old = self.tags.get(name, {}).pop(tag, None)
        if old is not None:
            self._drop_name(old.image_id, Reference.parse(name).with_tag(tag))
            if not self.tags[name]:
                del self.tags[name]

    def add_repo_digest(self, name: str, digest: Digest, image_id: Digest) -> None:
        """Let a name by digest lead to an image."""
        self.remove_repo_digest(name, digest)
        self.repo_digests.setdefault(name, {})[digest] = image_id
        self._add_name(image_id, Reference.parse(name).with_digest(digest))

    def remove_repo_digest(self, name: str, digest: Digest) -> None:
        """Take a name by digest away, if it is there."""
        old = self.repo_digests.get(name, {}).pop(digest, None)
        if old is not None:
            self._drop_name(old, Reference.parse(name).with_digest(digest))
            if not self.repo_digests[name]:
                del self.repo_digests[name]

    def add_container(self, container: Container) -> None:
        """Add a container, or replace it."""
        self.remove_container(container.id)
        self.containers[container.id] = container
        self.container_names[container.name] = container.id

    def remove_container(self, container_id: str) -> None:
        """Forget a container, if it is there."""
        old = self.containers.pop(container_id, None)
        if old is not None:
            del self.container_names[old.name]

    def _add_name(self, image_id: Digest, reference: Reference) -> None:
        self._names[image_id].add(reference)
        self._sorted_names.pop(image_id, None)

    def _drop_name(self, image_id: Digest, reference: Reference) -> None:
        self._names[image_id].discard(reference)
        self._sorted_names.pop(image_id, None)
        if not self._names[image_id]:
            del self._names[image_id]


def read_catalogue(connection: Connection) -> Catalogue:
    """The whole content of the database, read in the caller's transaction."""
    catalogue = Catalogue(
        generation=connection.execute(select(schema.state.c.generation)).scalar_one()
    )
    for layer in _read_layers(connection):
        catalogue.add_layer(layer)
    for diff_id, time in connection.execute(select(schema.kept_layers)):
        catalogue.kept_layers[Digest.parse(diff_id)] = time
    for manifest in _read_manifests(connection):
        catalogue.add_manifest(manifest)
    for image in _read_images(connection):
        catalogue.add_image(image)
    for name, tag, image_id, target in connection.execute(select(schema.tags)):
        catalogue.add_tag(name, tag, Tag(Digest.parse(image_id), optional_digest(target)))
    for name, digest, image_id in connection.execute(select(schema.repo_digests)):
        catalogue.add_repo_digest(name, Digest.parse(digest), Digest.parse(image_id))
    for container in _read_containers(connection):
        catalogue.add_container(container)
    return catalogue


def optional_digest(text: str | None) -> Digest | None:
    """A nullable column of digests."""
    return None if text is None else Digest.parse(text)


def _read_layers(connection: Connection) -> Iterator[Layer]:
    blobs: defaultdict[str, list[LayerBlob]] = defaultdict(list)
    order = schema.layer_blobs.c.digest
    for digest, diff_id, media_type, size in connection.execute(
        select(schema.layer_blobs).order_by(order)
    ):
        blobs[diff_id].append(LayerBlob(Digest.parse(digest), media_type, size))
    for text, size, tar_size in connection.execute(select(schema.layers)):
        yield Layer(Digest.parse(text), size, tar_size, tuple(blobs[text]))


def _read_manifests(connection: Connection) -> Iterator[Manifest]:
    children: defaultdict[str, set[Digest]] = defaultdict(set)
    for parent, child in connection.execute(select(schema.manifest_children)):
        children[parent].add(Digest.parse(child))
    for text, media_type, size, image_id in connection.execute(select(schema.manifests)):
        yield Manifest(
            Digest.parse(text),
            media_type,
            size,
            optional_digest(image_id),
            frozenset(children[text]),
        )


def _read_images(connection: Connection) -> Iterator[Image]:
    stacks: defaultdict[str, list[Digest]] = defaultdict(list)
    rows = schema.image_layers.c
    for image_id, diff_id in connection.execute(
        select(rows.image_id, rows.diff_id).order_by(rows.image_id, rows.position)
    ):
        stacks[image_id].append(Digest.parse(diff_id))
    for row in connection.execute(select(schema.images)):
        diff_ids = tuple(stacks[row.id])
        yield Image(
            id=Digest.parse(row.id),
            parent=optional_digest(row.parent),
            created=row.created,
            size=row.size,
            platform=Platform(row.os, row.architecture, row.variant),
            labels=row.labels,
            last_tagged=row.last_tagged,
            locally_built=row.locally_built,
            diff_ids=diff_ids,
            chain_ids=chain_ids(diff_ids),
        )


def _read_containers(connection: Connection) -> Iterator[Container]:
    for row in connection.execute(select(schema.containers)):
        yield Container(
            id=row.id,
            name=row.name,
            image_id=optional_digest(row.image_id or None),
            created=row.created,
            status=row.status,
            process=row.process,
            snapshot=row.snapshot,
            diff_ids=tuple(map(Digest.parse, row.diff_ids)),
            labels=row.labels,
            settings=row.settings,
            state=row.state,
        )
