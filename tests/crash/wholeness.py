"""Whether everything that an engine lists is whole, and nothing else is kept."""

import gzip
import io
import json
import tarfile
from pathlib import Path

from tests.conformance.engines import EngineApi, saved
from tests.real.images import sha256


async def assert_whole(api: EngineApi) -> set[str]:
    """Every listed image can be inspected and saved, and is what its ID says; returns the IDs."""
    images = await api.image_list(all=True)
    for image in images:
        inspected = await api.image_inspect(image.id)
        assert inspected.id == image.id
        assert sorted(inspected.repo_tags) == sorted(image.repo_tags)
        assert len(await api.image_history(image.id)) > 0
        for name in image.repo_tags:
            assert (await api.image_inspect(name)).id == image.id
        files = digests_of(await saved(api, image.id))
        [entry] = json.loads(files["manifest.json"])
        assert files[entry["Config"]] == image.id
        assert [files[path] for path in entry["Layers"]] == inspected.root_fs.layers
    return {image.id for image in images}


def digests_of(archive: bytes) -> dict[str, str]:
    """The digest of each file, compressed layers unpacked; manifest.json as it stands."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            reader = None if member.isdir() else tar.extractfile(member)
            if reader is not None:
                data = reader.read()
                name = member.name
                found[name] = data.decode() if name == "manifest.json" else sha256(plain_of(data))
    return found


def plain_of(data: bytes) -> bytes:
    """A blob without its compression."""
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def blobs_of(root: Path) -> dict[str, bytes]:
    """The blobs on disk; every one must be what its name says."""
    found = {}
    for path in (root / "content" / "blobs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert sha256(data) == f"{path.parent.name}:{path.name}"
            found[sha256(data)] = data
    return found


def ingests_of(root: Path) -> list[Path]:
    """Files that were being written."""
    return [path for path in (root / "content" / "ingest").rglob("*") if path.is_file()]


async def assert_nothing_else(api: EngineApi, root: Path) -> None:
    """After a prune, every blob belongs to an image that is listed."""
    await api.image_prune()
    assert ingests_of(root) == []
    listed = await api.image_list(all=True)
    ids = {image.id for image in listed}
    diff_ids = {d for id in ids for d in (await api.image_inspect(id)).root_fs.layers or ()}
    for digest, data in blobs_of(root).items():
        # A config, a layer in any compression, or a manifest or index that leads to an image.
        assert digest in ids or sha256(plain_of(data)) in diff_ids or leads_to(data, ids), digest


def leads_to(document: bytes, ids: set[str]) -> bool:
    """Whether a blob is the manifest of one of these images."""
    return document.startswith(b"{") and json.loads(document)["config"]["digest"] in ids


async def assert_all_can_go(api: EngineApi, root: Path) -> None:
    """With the last image, the last blob goes."""
    await api.image_prune(filters={"dangling": False})
    assert await api.image_list(all=True) == []
    assert blobs_of(root) == {}
    assert ingests_of(root) == []
