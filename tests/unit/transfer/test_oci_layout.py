import json
from collections.abc import Callable
from typing import Any

import pytest

from lamina.errors import InvalidArchive, SizeMismatch
from lamina.oci.platform import Platform
from lamina.transfer.members import Document, Members
from lamina.transfer.oci_layout import Layout, read_oci_layout
from tests.real import archives
from tests.real.images import Image, file, layer, make_image, sha256

AMD64 = Platform("linux", "amd64")


def image(architecture: str = "amd64") -> Image:
    return make_image(layer(file("x", architecture)), architecture=architecture)


def read(files: dict[str, bytes], platform: Platform = AMD64) -> Layout:
    """The layout; layers are not looked at, so they may be documents here."""
    members = Members({name: Document(data) for name, data in files.items()})
    return read_oci_layout(members, files["index.json"], platform)


def change(files: dict[str, bytes], edit: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The same with another index.json."""
    index = json.loads(files["index.json"])
    edit(index["manifests"][0])
    return {**files, "index.json": archives.dumps(index)}


def name(key: str, text: str) -> dict[str, bytes]:
    files = archives.oci_layout((image(), []))
    return change(files, lambda entry: entry.update(annotations={key: text}))


@pytest.mark.parametrize(
    ("key", "text", "names"),
    [
        ("io.containerd.image.name", "docker.io/library/a:1", ["a:1"]),
        ("io.containerd.image.name", "docker.io/library/a", ["a:latest"]),
        ("org.opencontainers.image.ref.name", "example.com/a:1", ["example.com/a:1"]),
        ("org.opencontainers.image.ref.name", "1.0", []),
        ("org.opencontainers.image.ref.name", "a b:c", []),
        ("org.opencontainers.image.ref.name", "a@" + sha256(b""), []),
    ],
)
def test_names_in_annotations(key: str, text: str, names: list[str]) -> None:
    (found,) = read(name(key, text)).images
    assert [reference.familiar for reference in found.names] == names


def test_several_names_of_one_image() -> None:
    layout = read(archives.oci_layout((image(), ["a:1", "b:2"])))
    (found,) = layout.images
    assert [reference.familiar for reference in found.names] == ["a:1", "b:2"]
    assert set(layout.targets.values()) == set(layout.manifests)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("linux/arm64", "arm64"), ("linux/amd64", "amd64"), ("linux/riscv64", "s390x")],
)
def test_the_image_for_a_platform_else_the_first(wanted: str, chosen: str) -> None:
    images = [image(architecture) for architecture in ("s390x", "amd64", "arm64")]
    layout = read(archives.multi_platform_layout(images, "a:1"), Platform.parse(wanted))
    assert [found.config.architecture for found in layout.images] == [chosen]
    assert len(layout.manifests) == 4


def test_a_platform_that_is_left_out_is_not_missed() -> None:
    images = [image("amd64"), image("arm64")]
    files = archives.multi_platform_layout(images, "a:1")
    absent = next(
        path for path, data in files.items() if images[1].id.encode() in data and "blobs" in path
    )
    del files[absent]
    layout = read(files, Platform.parse("linux/arm64"))
    assert [found.config.architecture for found in layout.images] == ["amd64"]


def test_an_empty_layout_holds_nothing() -> None:
    layout = read({"index.json": b'{"schemaVersion":2,"manifests":[]}'})
    assert layout == Layout()


@pytest.mark.parametrize(
    ("edit", "failure"),
    [
        (lambda entry: entry.update(digest=sha256(b"?")), f"blob {sha256(b'?')} is missing"),
        (lambda entry: entry.update(mediaType="text/html"), "unsupported media type text/html"),
    ],
)
def test_why_there_is_no_image(edit: Callable[[dict[str, Any]], object], failure: str) -> None:
    layout = read(change(archives.oci_layout((image(), ["a:1"])), edit))
    assert layout.images == []
    assert layout.failure == failure


def test_an_artifact_is_no_image() -> None:
    manifest = archives.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": "text/x-helm", "digest": sha256(b"{}"), "size": 2},
            "layers": [],
        }
    )
    entry = {
        "mediaType": archives.OCI_MANIFEST,
        "digest": sha256(manifest),
        "size": len(manifest),
    }
    files = {
        "index.json": archives.dumps({"schemaVersion": 2, "manifests": [entry]}),
        "blobs/" + sha256(manifest).replace(":", "/"): manifest,
    }
    assert read(files).failure == "unsupported media type text/x-helm"


def test_sizes_that_are_not_those_of_the_blobs() -> None:
    files = archives.oci_layout((image(), ["a:1"]))
    with pytest.raises(SizeMismatch, match="expected 1 bytes"):
        read(change(files, lambda entry: entry.update(size=1)))


@pytest.mark.parametrize("part", ["config", "layers"])
def test_sizes_in_the_manifest(part: str) -> None:
    files = archives.oci_layout((image(), ["a:1"]))
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
    descriptor = manifest["config"] if part == "config" else manifest["layers"][0]
    descriptor["size"] += 1
    raw = archives.dumps(manifest)
    files["blobs/" + sha256(raw).replace(":", "/")] = raw
    wrong = change(files, lambda entry: entry.update(digest=sha256(raw), size=len(raw)))
    with pytest.raises(SizeMismatch):
        read(wrong)


def test_indexes_nested_too_deeply() -> None:
    files = archives.oci_layout((image(), []))
    (entry,) = json.loads(files["index.json"])["manifests"]
    for _ in range(10):
        raw = archives.dumps({"schemaVersion": 2, "manifests": [entry]})
        files["blobs/" + sha256(raw).replace(":", "/")] = raw
        entry = {"mediaType": archives.OCI_INDEX, "digest": sha256(raw), "size": len(raw)}
    files["index.json"] = archives.dumps({"schemaVersion": 2, "manifests": [entry]})
    with pytest.raises(InvalidArchive, match="nested too deeply"):
        read(files)


def test_a_configuration_that_is_missing() -> None:
    found = image()
    files = archives.oci_layout((found, ["a:1"]))
    del files["blobs/" + found.id.replace(":", "/")]
    with pytest.raises(InvalidArchive, match="no such file"):
        read(files)
