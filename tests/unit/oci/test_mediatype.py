import pytest

from lamina.oci import mediatype
from lamina.oci.mediatype import (
    is_config,
    is_foreign_layer,
    is_index,
    is_layer,
    is_manifest,
    is_schema1,
)

DOCUMENTS = [
    (mediatype.OCI_MANIFEST, is_manifest),
    (mediatype.DOCKER_MANIFEST, is_manifest),
    (mediatype.OCI_INDEX, is_index),
    (mediatype.DOCKER_INDEX, is_index),
    (mediatype.OCI_CONFIG, is_config),
    (mediatype.DOCKER_CONFIG, is_config),
    (mediatype.DOCKER_SCHEMA1, is_schema1),
    (mediatype.DOCKER_SCHEMA1_SIGNED, is_schema1),
    (mediatype.OCI_LAYER, is_layer),
    (mediatype.DOCKER_LAYER_GZIP, is_layer),
]


@pytest.mark.parametrize(("media_type", "predicate"), DOCUMENTS)
def test_a_media_type_is_of_one_kind(media_type: str, predicate: object) -> None:
    kinds = [is_manifest, is_index, is_config, is_schema1, is_layer]
    assert [kind for kind in kinds if kind(media_type)] == [predicate]


@pytest.mark.parametrize(
    ("media_type", "foreign"),
    [
        ("application/vnd.oci.image.layer.v1.tar", False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        ("application/vnd.oci.image.layer.v1.tar+zstd", False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.diff.tar", False),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", False),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", False),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
    ],
)
def test_layers(media_type: str, *, foreign: bool) -> None:
    assert is_layer(media_type)
    assert is_foreign_layer(media_type) is foreign


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", mediatype.OCI_MANIFEST, "application/x.nondistributable.y"]
)
def test_what_is_no_layer(media_type: str) -> None:
    assert not is_layer(media_type)
    assert not is_foreign_layer(media_type)
