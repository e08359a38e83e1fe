import msgspec
import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidManifest
from lamina.oci import jsontext
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform

DECODER = jsontext.decoder(Descriptor)
A = Digest.of(b"a")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def test_json_has_the_names_of_the_specification() -> None:
    descriptor = Descriptor(
        "text/plain",
        A,
        1,
        urls=("https://a",),
        annotations={"a": "b"},
        platform=Platform("linux", "arm", "v7"),
        artifact_type="x/y",
    )
    assert msgspec.json.decode(jsontext.encode(descriptor)) == {
        "mediaType": "text/plain",
        "digest": str(A),
        "size": 1,
        "urls": ["https://a"],
        "annotations": {"a": "b"},
        "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
        "artifactType": "x/y",
    }


def test_what_is_empty_is_left_out() -> None:
    raw = jsontext.encode(Descriptor("", A, 0))
    assert raw == f'{{"mediaType":"","digest":"{A}","size":0}}'.encode()


@given(texts, st.binary(), st.integers(0, 2**63 - 1), st.dictionaries(texts, texts))
def test_round_trip(media_type: str, data: bytes, size: int, annotations: dict[str, str]) -> None:
    descriptor = Descriptor(media_type, Digest.of(data), size, annotations=annotations)
    assert jsontext.decode(DECODER, jsontext.encode(descriptor), what="descriptor") == descriptor


@given(st.integers(max_value=-1) | st.integers(min_value=2**63))
def test_sizes_that_nothing_has(size: int) -> None:
    raw = f'{{"mediaType":"a","digest":"{A}","size":{size}}}'.encode()
    with pytest.raises(InvalidManifest, match=r"Expected `int`|out of range"):
        jsontext.decode(DECODER, raw, what="descriptor")


@pytest.mark.parametrize("missing", ["mediaType", "digest", "size"])
def test_what_a_descriptor_needs(missing: str) -> None:
    members = {"mediaType": "a", "digest": str(A), "size": 1}
    del members[missing]
    with pytest.raises(InvalidManifest, match=f"required field `{missing}`"):
        jsontext.decode(DECODER, msgspec.json.encode(members), what="descriptor")
