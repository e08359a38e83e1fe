"""What is written is what is applied: random changes, in memory and read anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import Connection, create_engine

from lamina.errors import Unavailable
from lamina.oci.platform import Platform
from lamina.records import schema
from lamina.records.catalogue import Catalogue, Manifest, Tag, read_catalogue
from lamina.records.changes import (
    Change,
    KeepLayer,
    PutContainer,
    PutImage,
    PutLayer,
    PutManifest,
    PutRepoDigest,
    PutTag,
    ReleaseLayer,
    RemoveContainer,
    RemoveImage,
    RemoveLayer,
    RemoveManifest,
    RemoveRepoDigest,
    RemoveTag,
    SetLastTagged,
)
from tests.unit.records.records_in import digest, make_container, make_image, make_layer

NAMES = ["docker.io/library/a", "docker.io/library/b", "localhost:5000/c"]
TAGS = ["1", "latest"]
LETTERS = ["k", "l", "m", "n"]


@st.composite
def change(  # noqa: C901 - one branch a kind, none of them deep
    draw: st.DrawFn, catalogue: Catalogue
) -> Change:
    """Some change that the engine could make now."""
    letter = st.sampled_from(LETTERS)
    layers, images = sorted(catalogue.layers), sorted(catalogue.images)
    kinds = ["layer", "manifest", "forget manifest"]
    if layers:
        kinds += ["image", "image", "keep"]
    if images:
        kinds += ["tag", "tag", "digest", "untag", "undigest", "last tagged", "parent"]
    bare = [image for image in images if not catalogue.names(image)]
    used = {diff_id for image in catalogue.images.values() for diff_id in image.diff_ids}
    free = [diff_id for diff_id in layers if diff_id not in used]
    kinds += ["forget image"] * bool(bare) + ["forget layer"] * bool(free)
    kinds += ["container"] + ["forget container"] * bool(catalogue.containers)
    kinds += ["release"] * bool(catalogue.kept_layers)
    name, tag = draw(st.sampled_from(NAMES)), draw(st.sampled_from(TAGS))
    match draw(st.sampled_from(kinds)):
        case "container":
            number = draw(st.integers(0, 2))
            return PutContainer(make_container(number, draw(st.sampled_from("ab"))))
        case "forget container":
            return RemoveContainer(draw(st.sampled_from(sorted(catalogue.containers))))
        case "layer":
            diff = draw(letter)
            blobs = draw(st.lists(st.sampled_from([f"{diff}.gz", diff]), min_size=1, unique=True))
            return PutLayer(make_layer(diff, *blobs))
        case "image":
            chosen = draw(st.lists(st.sampled_from(layers), max_size=3))
            # The layers of an image are decided by its ID.
            name_of_image = "image" + ",".join(str(diff_id) for diff_id in chosen)
            labels = draw(st.none() | st.dictionaries(letter, letter, max_size=2))
            image = make_image(name_of_image, *(catalogue.layers[diff_id] for diff_id in chosen))
            variant = draw(st.sampled_from(["", "v7"]))
            created = draw(st.none() | st.integers(-(2**62), 2**62))
            return PutImage(
                replace(
                    image,
                    labels=labels,
                    created=created,
                    platform=Platform("linux", "arm", variant),
                    locally_built=draw(st.booleans()),
                )
            )
        case "parent":
            child = catalogue.images[draw(st.sampled_from(images))]
            return PutImage(replace(child, parent=draw(st.sampled_from(images))))
        case "manifest":
            image_id = draw(st.none() | st.sampled_from(images)) if images else None
            children = draw(st.frozensets(letter.map(digest), max_size=2))
            return PutManifest(
                Manifest(digest("manifest" + draw(letter)), "text/x", 1, image_id, children)
            )
        case "forget manifest":
            return RemoveManifest(digest("manifest" + draw(letter)))
        case "tag":
            target = draw(st.none() | letter.map(digest))
            return PutTag(name, tag, Tag(draw(st.sampled_from(images)), target))
        case "untag":
            return RemoveTag(name, tag)
        case "digest":
            return PutRepoDigest(name, digest(draw(letter)), draw(st.sampled_from(images)))
        case "undigest":
            return RemoveRepoDigest(name, digest(draw(letter)))
        case "last tagged":
            return SetLastTagged(draw(st.sampled_from(images)), draw(st.integers(0, 2**62)))
        case "forget image":
            return RemoveImage(draw(st.sampled_from(bare)))
        case "forget layer":
            return RemoveLayer(draw(st.sampled_from(free)))
        case "keep":
            return KeepLayer(draw(st.sampled_from(layers)), draw(st.integers(0, 9)))
        case "release":
            return ReleaseLayer(draw(st.sampled_from(sorted(catalogue.kept_layers))))
        case other:
            raise AssertionError(other)


def as_asked(catalogue: Catalogue) -> dict[str, object]:
    """Everything that can be asked of a catalogue."""
    images = sorted(catalogue.images)
    return {
        "images": catalogue.images,
        "layers": catalogue.layers,
        "manifests": catalogue.manifests,
        "tags": catalogue.tags,
        "digests": catalogue.repo_digests,
        "kept": catalogue.kept_layers,
        "containers": catalogue.containers,
        "container names": catalogue.container_names,
        "names": [catalogue.names(image) for image in images],
        "children": [catalogue.children(image) for image in images],
        "manifests of": [
            {manifest.digest for manifest in catalogue.manifests_of(image)} for image in images
        ],
        "users": [
            catalogue.chain_users(chain_id)
            for image in images
            for chain_id in catalogue.images[image].chain_ids
        ],
        "ids": [list(catalogue.ids_with_prefix(image.hex[:2])) for image in images],
        "blobs": [
            catalogue.layer_of_blob(digest(name))
            for letter in LETTERS
            for name in (letter, f"{letter}.gz")
        ],
    }


@contextmanager
def _connection(directory: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{directory / 'x.db'}")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@settings(max_examples=30)
@given(st.data())
def test_memory_and_database_say_the_same(data: st.DataObject) -> None:
    with TemporaryDirectory() as directory, _connection(Path(directory)) as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        schema.migrate(connection)
        catalogue = read_catalogue(connection)
        for _ in range(data.draw(st.integers(1, 40), label="changes")):
            made: Change = data.draw(change(catalogue), label="change")
            made.write(connection)
            made.apply(catalogue)
        assert as_asked(read_catalogue(connection)) == as_asked(catalogue)


def test_the_orphans_of_a_removed_image(tmp_path: Path) -> None:
    layer = make_layer("k")
    changes: list[Change] = [
        PutLayer(layer),
        PutImage(make_image("parent", layer)),
        PutImage(make_image("child", layer, parent="parent")),
        RemoveImage(digest("parent")),
    ]
    with _connection(tmp_path) as connection:
        schema.migrate(connection)
        catalogue = read_catalogue(connection)
        for made in changes:
            made.write(connection)
            made.apply(catalogue)
        assert catalogue.images[digest("child")].parent is None
        assert as_asked(read_catalogue(connection)) == as_asked(catalogue)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    with _connection(tmp_path) as connection:
        schema.migrate(connection)
        connection.exec_driver_sql("UPDATE state SET schema_version = 99")
        with pytest.raises(Unavailable, match="written by a newer lamina"):
            schema.migrate(connection)
