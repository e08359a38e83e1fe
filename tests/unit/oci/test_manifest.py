import msgspec
import pytest

from lamina.errors import InvalidManifest
from lamina.oci import mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.jsontext import SIZE_LIMIT
from lamina.oci.manifest import Manifest
from tests.unit.oci.documents import CONFIG, index, manifest, text
from tests.unit.oci.hostile import NOT_JSON, cut


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


@pytest.mark.parametrize("raw", NOT_JSON + cut(manifest()) + cut(index()), ids=lambda r: r[:30])
def test_hostile_text_is_refused(raw: bytes) -> None:
    for parse in (Manifest.parse, Index.parse, parse_manifest_or_index):
        with pytest.raises(InvalidManifest):
            parse(raw)


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


def test_a_changed_copy_has_bytes_of_its_own() -> None:
    parsed = Manifest.parse(manifest())
    changed = msgspec.structs.replace(parsed, annotations={"a": "b"})
    assert changed.raw != parsed.raw
    assert Manifest.parse(changed.raw).annotations == {"a": "b"}
