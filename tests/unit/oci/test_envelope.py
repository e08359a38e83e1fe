import pytest
from hypothesis import given, strategies as st

from lamina.errors import CorruptData, UnsupportedMediaType
from lamina.oci import mediatype
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from tests.unit.oci.documents import index, manifest, text
from tests.unit.oci.hostile import mangled


def test_either() -> None:
    assert isinstance(parse_manifest_or_index(manifest()), Manifest)
    assert isinstance(parse_manifest_or_index(index()), Index)
    parsed = parse_manifest_or_index(index(), mediatype.DOCKER_INDEX)
    assert parsed.media_type == mediatype.DOCKER_INDEX


@pytest.mark.parametrize(
    "raw",
    [
        text(schemaVersion=1, name="library/x", fsLayers=[{"blobSum": "x"}], history=[]),
        text(schemaVersion=1, mediaType=mediatype.DOCKER_SCHEMA1_SIGNED),
        text(schemaVersion=2, mediaType=mediatype.DOCKER_SCHEMA1),
        manifest(fsLayers=[]),
    ],
)
def test_schema_1_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="schema 1 support has been removed") as caught:
        Manifest.parse(raw)
    assert mediatype.is_schema1(caught.value.media_type)
    with pytest.raises(UnsupportedMediaType, match="schema 1 support has been removed"):
        parse_manifest_or_index(manifest(), mediatype.DOCKER_SCHEMA1_SIGNED)


@pytest.mark.parametrize("media_type", [mediatype.OCI_CONFIG, "application/vnd.unheard.of"])
def test_other_media_types_are_not_supported(media_type: str) -> None:
    for raw, delivered_as in ((manifest(mediaType=media_type), None), (manifest(), media_type)):
        with pytest.raises(UnsupportedMediaType) as caught:
            parse_manifest_or_index(raw, delivered_as)
        assert str(caught.value) == f"unsupported media type {media_type}"
        assert caught.value.media_type == media_type


@given(st.integers())
def test_damaged_text_is_read_or_refused(seed: int) -> None:
    for raw in (mangled(manifest(), seed=seed), mangled(index(), seed=seed)):
        try:
            parsed = parse_manifest_or_index(raw)
        except CorruptData:
            continue
        assert parsed.raw == raw
