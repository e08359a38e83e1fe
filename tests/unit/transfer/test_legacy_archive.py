import json
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import InvalidArchive
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.records.catalogue import LayerBlob
from lamina.transfer.layer_intake import StoredLayer
from lamina.transfer.legacy_archive import read_legacy_archive
from lamina.transfer.members import Document, Member, Members

LOADS = json.loads((Path(__file__).parent / "dockerd_loads.json").read_bytes())
"""The ``json`` of directories, and the configurations that dockerd 20.10 made of them."""

DIFF_IDS = tuple(Digest.parse(text) for text in LOADS["diff_ids"])


def members(*directories: str, tags: dict[str, str] | None = None) -> Members:
    """An archive with these directories, whose layers are those of `DIFF_IDS`."""
    found: dict[str, Member] = {}
    for raw, diff_id in zip(directories, DIFF_IDS, strict=False):
        name = json.loads(raw)["id"]
        found[f"{name}/json"] = Document(raw.encode())
        blob = LayerBlob(diff_id, mediatype.OCI_LAYER, 10240)
        found[f"{name}/layer.tar"] = StoredLayer(blob, diff_id, size=1, tar_size=10240)
    if tags is not None:
        found["repositories"] = Document(json.dumps({"name": tags}).encode())
    return Members(found)


@pytest.mark.parametrize("loaded", LOADS["images"].values(), ids=LOADS["images"])
def test_configurations_are_dockerds_to_the_byte(loaded: dict[str, Any]) -> None:
    images = read_legacy_archive(members(*loaded["directories"]))
    assert [image.config.raw.decode() for image in images] == loaded["configs"]
    assert [image.parent for image in images] == [None, images[0].config.digest]
    assert [image.config.diff_ids for image in images] == [DIFF_IDS[:1], DIFF_IDS]


def test_names_belong_to_the_directories_they_mean() -> None:
    base, top = '{"id":"base"}', '{"id":"top","parent":"base"}'
    images = read_legacy_archive(members(base, top, tags={"1": "top", "2": "base", "3": "top"}))
    names = [[name.familiar for name in image.names] for image in images]
    assert names == [["name:2"], ["name:1", "name:3"]]


def test_a_name_without_a_directory() -> None:
    with pytest.raises(InvalidArchive, match="no image gone"):
        read_legacy_archive(members('{"id":"base"}', tags={"1": "gone"}))


@pytest.mark.parametrize("parent", ["gone", "../base", "top"])
def test_a_parent_that_is_none(parent: str) -> None:
    with pytest.raises(InvalidArchive):
        read_legacy_archive(members(json.dumps({"id": "top", "parent": parent})))


def test_parents_in_a_circle() -> None:
    with pytest.raises(InvalidArchive, match="max depth exceeded"):
        read_legacy_archive(members('{"id":"a","parent":"b"}', '{"id":"b","parent":"a"}'))
