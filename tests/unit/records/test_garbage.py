from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue, Manifest, Tag
from lamina.records.changes import (
    Change,
    ReleaseLayer,
    RemoveImage,
    RemoveLayer,
    RemoveManifest,
    RemoveRepoDigest,
    RemoveTag,
)
from lamina.records.garbage import (
    blobs_of_removed,
    named_blobs,
    outdated_layers,
    unused_records,
)
from tests.unit.records.records_in import digest, make_image, make_layer

NAME = "docker.io/library/a"


def manifest(name: str, *children: str, image: str | None = None) -> Manifest:
    image_id = None if image is None else digest(image)
    return Manifest(digest(name), "text/x", 1, image_id, frozenset(map(digest, children)))


def catalogue() -> Catalogue:
    """An image with its manifest, an index with a platform that is none, and unused things."""
    made = Catalogue()
    base, unused = make_layer("base", "base.gz", "base"), make_layer("unused")
    made.add_layer(base)
    made.add_layer(unused)
    made.add_image(make_image("image", base))
    made.add_tag(NAME, "1", Tag(digest("image"), digest("index")))
    made.add_manifest(manifest("index", "own", "other"))
    made.add_manifest(manifest("own", "image", "base.gz", image="image"))
    made.add_manifest(manifest("other", "other config", "other layer", image="other config"))
    made.add_manifest(manifest("lost", "lost layer", image="deleted"))
    return made


def names(digests: frozenset[Digest]) -> set[str]:
    """The names again, of all that occur here."""
    known = {
        digest(name): name
        for name in (
            *("image", "base", "base.gz", "unused", "index", "own", "other", "lost"),
            *("other config", "other layer", "lost layer"),
        )
    }
    return {known[found] for found in digests}


def test_records_that_nothing_needs() -> None:
    changes = list(unused_records(catalogue()))
    assert set(changes) == {RemoveLayer(digest("unused")), RemoveManifest(digest("lost"))}


def test_an_index_needs_its_name() -> None:
    made = catalogue()
    made.remove_tag(NAME, "1")
    assert RemoveManifest(digest("index")) in set(unused_records(made))
    assert RemoveManifest(digest("other")) in set(unused_records(made))
    assert RemoveManifest(digest("own")) not in set(unused_records(made))
    made.add_repo_digest(NAME, digest("index"), digest("image"))
    assert set(unused_records(made)) == set(unused_records(catalogue()))


def test_blobs_of_records_that_nothing_needs_stay_as_long_as_these() -> None:
    """They were dropped by a transaction after the one that removed unused records."""
    assert names(named_blobs(catalogue())) == {
        "image",
        "base",
        "base.gz",
        "unused",
        "index",
        "own",
        "other",
        "other config",
        "other layer",
        "lost",
        "lost layer",
    }


def test_what_a_deletion_may_free() -> None:
    image: list[Change] = [RemoveTag(NAME, "1"), RemoveImage(digest("image"))]
    assert names(blobs_of_removed(catalogue(), image)) == {
        "image",
        "base",
        "base.gz",
        "index",
        "own",
        "other",
        "other config",
        "other layer",
    }
    made = catalogue()
    made.add_repo_digest(NAME, digest("own"), digest("image"))
    by_digest = blobs_of_removed(made, [RemoveRepoDigest(NAME, digest("own"))])
    assert names(by_digest) == {"own", "image", "base.gz"}
    assert blobs_of_removed(made, []) == frozenset()


def test_kept_layers_are_used_until_they_are_released() -> None:
    made = catalogue()
    made.kept_layers[digest("unused")] = 5
    assert RemoveLayer(digest("unused")) not in set(unused_records(made))
    assert list(outdated_layers(made, 4)) == []
    assert list(outdated_layers(made, 5)) == [ReleaseLayer(digest("unused"))]
