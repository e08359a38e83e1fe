import copy
import hashlib
import pickle

import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidDigest
from lamina.oci.digest import Digest, is_digest

HEX = "0123456789abcdef" * 4


def test_parts() -> None:
    digest = Digest.parse(f"sha256:{HEX}")
    assert (digest.algorithm, digest.hex, digest.short) == ("sha256", HEX, HEX[:12])
    assert str(digest) == f"sha256:{HEX}"
    assert repr(digest) == f"Digest('sha256:{HEX}')"


def test_sha512() -> None:
    digest = Digest.parse(f"sha512:{HEX}{HEX}")
    assert (digest.algorithm, digest.hex, digest.short) == ("sha512", HEX + HEX, HEX[:12])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid checksum digest format"),
        (HEX, "invalid checksum digest format"),
        (f":{HEX}", "invalid checksum digest format"),
        ("sha256:", "invalid checksum digest format"),
        (f"sha256:{HEX.upper()}", "invalid checksum digest format"),
        (f"sha256:{HEX}\n", "invalid checksum digest format"),
        (f"sha256: {HEX[1:]}", "invalid checksum digest format"),
        (f"SHA256:{HEX}", "invalid checksum digest format"),
        (f"sha256:{HEX[:-1]}", "invalid checksum digest length"),
        (f"sha256:{HEX}0", "invalid checksum digest length"),
        (f"sha512:{HEX}", "invalid checksum digest length"),
        (f"md5:{HEX[:32]}", "unsupported digest algorithm"),
        (f"sha256+b64:{HEX}", "unsupported digest algorithm"),
        ("sha256:" + "\u0660" * 64, "invalid checksum digest format"),
        (f"sha256:../../{HEX[6:]}", "invalid checksum digest format"),
    ],
)
def test_what_is_no_digest(text: str, message: str) -> None:
    assert not is_digest(text)
    with pytest.raises(InvalidDigest) as caught:
        Digest.parse(text)
    assert str(caught.value) == message
    assert caught.value.text == text


def test_a_digest_is_made_valid_or_not_at_all() -> None:
    with pytest.raises(TypeError):
        Digest()
    digest = Digest.of(b"")
    with pytest.raises(AttributeError):
        digest.hex = "00"  # type: ignore[misc]


@given(st.binary())
def test_of_data_and_of_a_hasher(data: bytes) -> None:
    digest = Digest.of(data)
    assert digest.hex == hashlib.sha256(data).hexdigest()
    for name in ("sha256", "sha512"):
        hasher = hashlib.new(name, data)
        digest = Digest.from_hasher(hasher)
        assert (digest.algorithm, digest.hex) == (name, hasher.hexdigest())
        again = digest.hasher()
        again.update(data)
        assert Digest.from_hasher(again) == digest


@given(st.sampled_from([("sha256", 64), ("sha512", 128)]), st.data())
def test_round_trip(algorithm: tuple[str, int], data: st.DataObject) -> None:
    name, length = algorithm
    hex = data.draw(st.text("0123456789abcdef", min_size=length, max_size=length))
    digest = Digest.parse(f"{name}:{hex}")
    pickled = pickle.dumps(digest)
    for twin in (Digest.parse(str(digest)), copy.deepcopy(digest), pickle.loads(pickled)):  # noqa: S301
        assert twin == digest
        assert hash(twin) == hash(digest)
        assert not twin != digest  # noqa: SIM202


@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    if is_digest(text):
        assert str(Digest.parse(text)) == text
    else:
        with pytest.raises(InvalidDigest):
            Digest.parse(text)


def test_order_is_that_of_the_texts() -> None:
    digests = [Digest.of(bytes([n])) for n in range(20)]
    assert [str(d) for d in sorted(digests)] == sorted(str(d) for d in digests)
    low, high = sorted(digests)[:2]
    assert low < high
    assert low <= high
    assert high > low
    assert high >= low
    assert low <= low  # noqa: PLR0124


def test_a_digest_is_no_text() -> None:
    digest = Digest.of(b"")
    assert digest != str(digest)
    with pytest.raises(TypeError):
        digest < str(digest)  # noqa: B015
