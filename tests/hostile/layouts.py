"""OCI layouts that must be refused, by name."""

import json
from collections.abc import Callable
from typing import Any

from tests.conformance.stock import PLAIN
from tests.hostile.cases import DEEP, Case
from tests.real.archives import OCI_INDEX, OCI_MANIFEST, dumps, oci_layout
from tests.real.images import sha256, tar_of


def oci(change: Callable[[dict[str, bytes]], None]) -> Case:
    """An OCI layout, changed."""

    def build() -> bytes:
        parts = oci_layout((PLAIN, ["victim:1"]))
        change(parts)
        return tar_of(parts)

    return build


def index_with(**changes: object) -> Case:
    def change(parts: dict[str, bytes]) -> None:
        index = json.loads(parts["index.json"])
        index["manifests"][0].update(changes)
        parts["index.json"] = dumps(index)

    return oci(change)


def blob(data: bytes) -> tuple[str, dict[str, Any]]:
    """Where a blob lies in a layout, and how a descriptor names it."""
    digest = sha256(data)
    return "blobs/" + digest.replace(":", "/"), {"digest": digest, "size": len(data)}


def manifest_with(**changes: object) -> Case:
    """A layout whose manifest has other members, under its true digest."""

    def change(parts: dict[str, bytes]) -> None:
        index = json.loads(parts["index.json"])
        where = "blobs/" + index["manifests"][0]["digest"].replace(":", "/")
        value = {**json.loads(parts.pop(where)), **changes}
        path, descriptor = blob(dumps(value))
        parts[path] = dumps(value)
        index["manifests"][0].update(descriptor)
        parts["index.json"] = dumps(index)

    return oci(change)


def nested_indexes(depth: int) -> Case:
    """Indexes within indexes: as near to a cycle as digests allow."""

    def change(parts: dict[str, bytes]) -> None:
        inner = json.loads(parts["index.json"])
        for _ in range(depth):
            path, descriptor = blob(dumps(inner))
            parts[path] = dumps(inner)
            named = {**descriptor, "mediaType": OCI_INDEX}
            inner = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]}
        parts["index.json"] = dumps(inner)

    return oci(change)


def without_blobs(parts: dict[str, bytes]) -> None:
    for path in [path for path in parts if path.startswith("blobs/")]:
        del parts[path]


def without_index(parts: dict[str, bytes]) -> None:
    del parts["index.json"]


def swapped(parts: dict[str, bytes]) -> None:
    """Every blob has another blob's bytes."""
    paths = [path for path in parts if path.startswith("blobs/")]
    data = [parts[path] for path in paths]
    parts.update(zip(paths, [*data[1:], data[0]], strict=True))


def one_bit(parts: dict[str, bytes]) -> None:
    """A layer's blob with one bit turned."""
    path = max((p for p in parts if p.startswith("blobs/")), key=lambda p: len(parts[p]))
    parts[path] = parts[path][:-1] + bytes([parts[path][-1] ^ 1])


LAYOUTS: dict[str, Case] = {
    "no index.json": oci(without_index),
    "index.json is no JSON": oci(lambda parts: parts.update({"index.json": b"{"})),
    "index.json is a list": oci(lambda parts: parts.update({"index.json": b"[]"})),
    "index.json is nested deeply": oci(lambda parts: parts.update({"index.json": DEEP})),
    "no blobs": oci(without_blobs),
    "blobs are swapped": oci(swapped),
    "one bit is wrong": oci(one_bit),
    "manifest that is not there": index_with(digest="sha256:" + "0" * 64),
    "manifest's digest goes up": index_with(digest="sha256:../../../etc/passwd"),
    "manifest's digest is a number": index_with(digest=1),
    "manifest's digest is by md5": index_with(digest="md5:" + "0" * 32),
    "manifest's size is wrong": index_with(size=1),
    "manifest's size is negative": index_with(size=-1),
    "manifest's size is huge": index_with(size=2**70),
    "manifest is called an index": index_with(mediaType=OCI_INDEX),
    "manifest is called something": index_with(mediaType="text/html"),
    "indexes within indexes": nested_indexes(2000),
    "layers are strings": manifest_with(layers=["x"]),
    "layers are missing": manifest_with(layers=[]),
    "layers have negative sizes": manifest_with(
        layers=[{"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": -1}]
    ),
    "config is missing": manifest_with(config=None),
    "config is not there": manifest_with(
        config={"mediaType": OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3}
    ),
    "schema version 1": manifest_with(
        schemaVersion=1, mediaType="application/vnd.docker.distribution.manifest.v1+json"
    ),
}
