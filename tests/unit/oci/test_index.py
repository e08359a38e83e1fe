import pytest

from lamina.errors import InvalidManifest
from lamina.oci import mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.platform import Platform
from tests.unit.oci.documents import CONFIG, index, manifest


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


def test_a_manifest_is_no_index() -> None:
    with pytest.raises(InvalidManifest, match=r"^invalid index: is a manifest"):
        Index.parse(manifest())
    with pytest.raises(InvalidManifest, match="has the members of a manifest"):
        Index.parse(manifest(), mediatype.OCI_INDEX)


def test_build_writes_an_index_that_reads_the_same() -> None:
    listed = Descriptor(
        mediatype.OCI_MANIFEST, Digest.of(b"m"), 3, platform=Platform("linux", "amd64")
    )
    built = Index.build([listed], media_type=mediatype.DOCKER_INDEX)
    again = Index.parse(built.raw)
    assert (again.digest, again.media_type) == (built.digest, mediatype.DOCKER_INDEX)
    assert again.manifests == (listed,)
    assert again.manifests[0].platform == Platform("linux", "amd64")
