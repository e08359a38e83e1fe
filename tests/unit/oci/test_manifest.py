import json

import msgspec
import pytest
from hypothesis import given, strategies as st

from lamina.errors import CorruptData, InvalidManifest, UnsupportedMediaType
from lamina.oci import mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.jsontext import SIZE_LIMIT
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform
from tests.unit.oci.hostile import NOT_JSON, cut, mangled

CONFIG = {"mediaType": mediatype.OCI_CONFIG, "digest": str(Digest.of(b"c")), "size": 1}
LAYER = {"mediaType": mediatype.OCI_LAYER_GZIP, "digest": str(Digest.of(b"l")), "size": 2}


def text(**members: object) -> bytes:
    return json.dumps(members, indent=3).encode()


def manifest(**members: object) -> bytes:
    return text(**{"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **members})


def index(**members: object) -> bytes:
    listed = {**CONFIG, "mediaType": mediatype.OCI_MANIFEST}
    return text(**{"schemaVersion": 2, "manifests": [listed], **members})


def test_a_manifest_keeps_its_bytes() -> None:
    raw = manifest(mediaType=mediatype.OCI_MANIFEST, annotations={"a": "<b>"}, unknown=[1])
    parsed = Manifest.parse(raw)
    assert (parsed.raw, parsed.digest, parsed.size) == (raw, Digest.of(raw), len(raw))
    assert parsed.media_type == mediatype.OCI_MANIFEST
    assert parsed.config == Descriptor(mediatype.OCI_CONFIG, Digest.of(b"c"), 1)
    assert parsed.layers == (Descriptor(mediatype.OCI_LAYER_GZIP, Digest.of(b"l"), 2),)
    assert parsed.annotations == {"a": "<b>"}
    assert parsed.subject is None


def test_a_manifest_of_dockers_schema_2() -> None:
    raw = manifest(mediaType=mediatype.DOCKER_MANIFEST)
    assert Manifest.parse(raw, mediatype.DOCKER_MANIFEST).media_type == mediatype.DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("delivered_as", "media_type"),
    [
        (None, mediatype.OCI_MANIFEST),
        ("", mediatype.OCI_MANIFEST),
        ("application/json; charset=utf-8", mediatype.OCI_MANIFEST),
        ("text/plain", mediatype.OCI_MANIFEST),
        (mediatype.OCI_MANIFEST, mediatype.OCI_MANIFEST),
        (mediatype.DOCKER_MANIFEST, mediatype.DOCKER_MANIFEST),
        (f"{mediatype.DOCKER_MANIFEST}; charset=utf-8", mediatype.DOCKER_MANIFEST),
    ],
)
def test_a_media_type_that_the_document_leaves_out(
    delivered_as: str | None, media_type: str
) -> None:
    raw = manifest()
    parsed = Manifest.parse(raw, delivered_as)
    assert parsed.media_type == media_type
    assert parsed.raw == raw


def test_an_index_keeps_its_bytes() -> None:
    raw = index(mediaType=mediatype.DOCKER_INDEX)
    parsed = Index.parse(raw)
    assert (parsed.raw, parsed.digest, parsed.media_type) == (
        raw,
        Digest.of(raw),
        mediatype.DOCKER_INDEX,
    )
    assert parsed.manifests == (Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"c"), 1),)
    assert Index.parse(index()).media_type == mediatype.OCI_INDEX
    assert Index.parse(index(manifests=[])).manifests == ()


def test_the_platforms_of_an_index() -> None:
    listed = {**CONFIG, "platform": {"architecture": "arm", "os": "linux", "variant": "v6"}}
    bare = {**CONFIG, "platform": None}
    parsed = Index.parse(index(manifests=[listed, bare]))
    assert [m.platform for m in parsed.manifests] == [Platform("linux", "arm", "v6"), None]


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


@pytest.mark.parametrize(
    ("raw", "delivered_as", "message"),
    [
        (index(), None, r"^invalid manifest: is an index"),
        (manifest(manifests=[]), None, "has the members of a manifest"),
        (manifest(mediaType=mediatype.OCI_INDEX), None, "has the members of a manifest"),
        (manifest(manifests=[]), mediatype.OCI_MANIFEST, "has the members of an index"),
        (index(), mediatype.OCI_MANIFEST, "has the members of an index"),
        (
            manifest(mediaType=mediatype.DOCKER_MANIFEST),
            mediatype.OCI_MANIFEST,
            f"^mediaType in manifest should be '{mediatype.OCI_MANIFEST.replace('+', '.')}' not",
        ),
        (manifest(schemaVersion=3), None, "^unrecognized manifest schema version 3$"),
        (text(config=CONFIG, layers=[]), None, "^unrecognized manifest schema version 0$"),
        (text(schemaVersion=2), None, "^invalid manifest: .* required field `config`"),
        (text(schemaVersion=2, config=CONFIG), None, "required field `layers`"),
        (manifest(layers=None), None, "required field `layers`"),
        (manifest(layers={}), None, "Expected `array`, got `object`"),
        (manifest(layers=[None]), None, "Expected `object`, got `null`"),
        (manifest(config={**CONFIG, "size": -1}), None, "Expected `int` >= 0"),
        (manifest(config={**CONFIG, "size": 2**63}), None, "Expected `int` <= 9223372036854775807"),
        (manifest(config={**CONFIG, "size": 10**300}), None, "Expected `int`"),
        (manifest(config={**CONFIG, "size": "1"}), None, "Expected `int`, got `str`"),
        (manifest(config={**CONFIG, "size": 1.5}), None, "Expected `int`, got `float`"),
        (manifest(config={**CONFIG, "digest": "sha256:a"}), None, "invalid checksum digest length"),
        (manifest(config={**CONFIG, "digest": "../../x"}), None, "invalid checksum digest format"),
        (manifest(config={**CONFIG, "digest": 7}), None, "expected a digest, got 7"),
        (manifest(annotations={"a": 1}), None, "Expected `str`, got `int`"),
        (manifest(annotations="a" * SIZE_LIMIT), None, "bytes are more than"),
    ],
)
def test_refused(raw: bytes, delivered_as: str | None, message: str) -> None:
    with pytest.raises(InvalidManifest, match=message):
        Manifest.parse(raw, delivered_as)


@pytest.mark.parametrize("media_type", [mediatype.OCI_CONFIG, "application/vnd.unheard.of"])
def test_other_media_types_are_not_supported(media_type: str) -> None:
    for raw, delivered_as in ((manifest(mediaType=media_type), None), (manifest(), media_type)):
        with pytest.raises(UnsupportedMediaType) as caught:
            parse_manifest_or_index(raw, delivered_as)
        assert str(caught.value) == f"unsupported media type {media_type}"
        assert caught.value.media_type == media_type


def test_a_manifest_is_no_index() -> None:
    with pytest.raises(InvalidManifest, match=r"^invalid index: is a manifest"):
        Index.parse(manifest())
    with pytest.raises(InvalidManifest, match="has the members of a manifest"):
        Index.parse(manifest(), mediatype.OCI_INDEX)


@pytest.mark.parametrize("raw", NOT_JSON + cut(manifest()) + cut(index()), ids=lambda r: r[:30])
def test_hostile_text_is_refused(raw: bytes) -> None:
    for parse in (Manifest.parse, Index.parse, parse_manifest_or_index):
        with pytest.raises(InvalidManifest):
            parse(raw)


@given(st.integers())
def test_damaged_text_is_read_or_refused(seed: int) -> None:
    for raw in (mangled(manifest(), seed=seed), mangled(index(), seed=seed)):
        try:
            parsed = parse_manifest_or_index(raw)
        except CorruptData:
            continue
        assert parsed.raw == raw


def test_nulls_are_absent_members() -> None:
    config = {**CONFIG, "urls": None, "annotations": None, "platform": None}
    raw = manifest(config=config, annotations=None, subject=None, mediaType=None, manifests=None)
    parsed = Manifest.parse(raw)
    assert parsed.config == Descriptor(mediatype.OCI_CONFIG, Digest.of(b"c"), 1)
    assert parsed.raw == raw


def test_build_writes_a_manifest_that_reads_the_same() -> None:
    config = Descriptor(mediatype.OCI_CONFIG, Digest.of(b"c"), 1)
    layer = Descriptor(mediatype.OCI_LAYER, Digest.of(b"l"), 2, urls=("https://a/?b&c",))
    built = Manifest.build(config, [layer], annotations={"k": "v"})
    assert built.raw == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        b'"config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
        b'"digest":"' + str(config.digest).encode() + b'","size":1},'
        b'"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",'
        b'"digest":"' + str(layer.digest).encode() + b'","size":2,'
        b'"urls":["https://a/?b\\u0026c"]}],"annotations":{"k":"v"}}'
    )
    again = Manifest.parse(built.raw)
    assert (again.digest, again.config, again.layers) == (built.digest, config, (layer,))


def test_build_writes_an_index_that_reads_the_same() -> None:
    listed = Descriptor(
        mediatype.OCI_MANIFEST, Digest.of(b"m"), 3, platform=Platform("linux", "amd64")
    )
    built = Index.build([listed], media_type=mediatype.DOCKER_INDEX)
    again = Index.parse(built.raw)
    assert (again.digest, again.media_type) == (built.digest, mediatype.DOCKER_INDEX)
    assert again.manifests == (listed,)
    assert again.manifests[0].platform == Platform("linux", "amd64")


def test_a_changed_copy_has_bytes_of_its_own() -> None:
    parsed = Manifest.parse(manifest())
    changed = msgspec.structs.replace(parsed, annotations={"a": "b"})
    assert changed.raw != parsed.raw
    assert Manifest.parse(changed.raw).annotations == {"a": "b"}
