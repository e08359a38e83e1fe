import json
from pathlib import Path

import pytest

from lamina.oci import mediatype
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.records.catalogue import LayerBlob
from lamina.transfer.v1_layers import v1_layers

SAVES = json.loads((Path(__file__).parent / "dockerd_saves.json").read_bytes())
"""Configurations, and the ``json`` of each layer's directory as dockerd 20.10 saved it."""


def blobs(config: ImageConfig) -> list[LayerBlob]:
    return [LayerBlob(diff_id, mediatype.OCI_LAYER, 10240) for diff_id in config.diff_ids]


@pytest.mark.parametrize("saved", SAVES.values(), ids=SAVES)
def test_directories_are_dockerds_to_the_byte(saved: dict[str, str | list[str]]) -> None:
    assert isinstance(saved["config"], str)
    config = ImageConfig.parse(saved["config"].encode())
    layers = v1_layers(config, blobs(config))
    assert [layer.json.decode() for layer in layers] == saved["directories"]
    assert [layer.id for layer in layers] == [
        json.loads(directory)["id"] for directory in saved["directories"]
    ]


def test_a_directory_is_named_for_all_that_is_below_it() -> None:
    base, other, top = (Digest.of(text) for text in (b"base", b"other", b"top"))
    first, second = (
        v1_layers(config, blobs(config))
        for config in (
            ImageConfig.parse(
                json.dumps(
                    {"rootfs": {"type": "layers", "diff_ids": [str(below), str(top)]}}
                ).encode()
            )
            for below in (base, other)
        )
    )
    assert not {layer.id for layer in first} & {layer.id for layer in second}
    assert [layer.blob.digest for layer in first] == [base, top]
