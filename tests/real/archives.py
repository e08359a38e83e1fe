"""The forms in which images travel as files, made by hand: docker-archives, OCI layouts.

Each function gives the files of the form, by name and in order; `images.tar_of` makes an archive of
them and `images.write_tree` a directory.
"""

import bz2
import hashlib
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backports import zstd

from tests.real.images import Image, gzipped, sha256

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "gzip": gzipped,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
"""Compressions by name; media types exist for the first three."""

Tagged = tuple[Image, Sequence[str]]
"""An image and its names (`name:tag`)."""


def dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def docker_archive(*images: Tagged, compression: str = "", extra: bool = True) -> dict[str, bytes]:
    """What `docker save` of 1.10 to 24 writes: a directory per layer, manifest.json, repositories.

    `extra=False` leaves out what those versions no longer read: VERSION, json, repositories.
    """
    files: dict[str, bytes] = {}
    manifest: list[dict[str, Any]] = []
    for image, names in images:
        parent, paths = "", []
        for data in image.layers:
            layer_id = _legacy_id(parent, data)
            path = f"{layer_id}/layer.tar"
            if extra:
                files[f"{layer_id}/VERSION"] = b"1.0"
                files[f"{layer_id}/json"] = dumps(_legacy_json(layer_id, parent, image))
            files[path] = COMPRESS[compression](data)
            paths.append(path)
            parent = layer_id
        config = f"{image.id.removeprefix('sha256:')}.json"
        files[config] = image.config
        manifest.append({"Config": config, "RepoTags": list(names) or None, "Layers": paths})
    files["manifest.json"] = dumps(manifest)
    if extra and (repositories := _repositories(images)):
        files["repositories"] = dumps(repositories)
    return files


def legacy_archive(*images: Tagged) -> dict[str, bytes]:
    """What `docker save` before 1.10 wrote: no manifest.json, no config, only the directories."""
    files: dict[str, bytes] = {}
    for image, _ in images:
        parent = ""
        for data in image.layers:
            layer_id = _legacy_id(parent, data)
            files[f"{layer_id}/VERSION"] = b"1.0"
            files[f"{layer_id}/json"] = dumps(_legacy_json(layer_id, parent, image))
            files[f"{layer_id}/layer.tar"] = data
            parent = layer_id
    files["repositories"] = dumps(_repositories(images))
    return files


def oci_layout(
    *images: Tagged, compression: str = "gzip", docker: bool = False, manifest_json: bool = False
) -> dict[str, bytes]:
    """An OCI image layout with one manifest an image, names in annotations.

    `docker` uses Docker's media types; `manifest_json` makes it a docker-archive as well, as
    `docker save` of 25 and later does.
    """
    blobs: dict[str, bytes] = {}
    descriptors: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for image, names in images:
        manifest = _add_manifest(blobs, image, compression=compression, docker=docker)
        for name in names or ("",):
            annotations = {
                "io.containerd.image.name": _canonical(name),
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            }
            descriptors.append({**manifest, **({"annotations": annotations} if name else {})})
        layers = json.loads(blobs[manifest["digest"]])["layers"]
        entries.append(
            {
                "Config": _blob_path(image.id),
                "RepoTags": list(names) or None,
                "Layers": [_blob_path(layer["digest"]) for layer in layers],
            }
        )
    files = _layout_files(blobs, descriptors)
    if manifest_json:
        files["manifest.json"] = dumps(entries)
    return files


def multi_platform_layout(
    images: Sequence[Image], name: str, *, compression: str = "gzip", docker: bool = False
) -> dict[str, bytes]:
    """An OCI layout whose one name is an index of one manifest a platform."""
    blobs: dict[str, bytes] = {}
    manifests = [
        {
            **_add_manifest(blobs, image, compression=compression, docker=docker),
            "platform": image.platform,
        }
        for image in images
    ]
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    index = _add(
        blobs,
        dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}),
        media_type,
    )
    annotations = {
        "io.containerd.image.name": _canonical(name),
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    return _layout_files(blobs, [{**index, "annotations": annotations}])


def _layout_files(blobs: Mapping[str, bytes], descriptors: Sequence[object]) -> dict[str, bytes]:
    return {
        "oci-layout": dumps({"imageLayoutVersion": "1.0.0"}),
        "index.json": dumps(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(descriptors)}
        ),
        **{_blob_path(digest): data for digest, data in blobs.items()},
    }


def _add_manifest(
    blobs: dict[str, bytes], image: Image, *, compression: str, docker: bool
) -> dict[str, Any]:
    suffix = f"+{compression}" if compression else ""
    if docker and compression:
        suffix = f".{compression}"
    layer_type = (DOCKER_LAYER if docker else OCI_LAYER) + suffix
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": _add(blobs, image.config, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [_add(blobs, COMPRESS[compression](data), layer_type) for data in image.layers],
    }
    return _add(blobs, dumps(value), str(value["mediaType"]))


def _add(blobs: dict[str, bytes], data: bytes, media_type: str) -> dict[str, Any]:
    digest = sha256(data)
    blobs[digest] = data
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/", 1)


def _canonical(name: str) -> str:
    if "/" not in name:
        return f"docker.io/library/{name}"
    first = name.split("/", 1)[0]
    known = "." in first or ":" in first or first == "localhost"
    return name if known else f"docker.io/{name}"


def _legacy_id(parent: str, data: bytes) -> str:
    return hashlib.sha256(parent.encode() + sha256(data).encode()).hexdigest()


def _legacy_json(layer_id: str, parent: str, image: Image) -> dict[str, Any]:
    config = image.parsed_config
    return {
        "id": layer_id,
        **({"parent": parent} if parent else {}),
        "created": config["created"],
        "config": config["config"],
        "architecture": config["architecture"],
        "os": config["os"],
    }


def _repositories(images: Sequence[Tagged]) -> dict[str, dict[str, str]]:
    repositories: dict[str, dict[str, str]] = {}
    for image, names in images:
        top = ""
        for data in image.layers:
            top = _legacy_id(top, data)
        for name in names:
            repository, _, tag = name.rpartition(":")
            repositories.setdefault(repository, {})[tag] = top
    return repositories
