import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidReference
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"
INVALID = "invalid reference format"
UPPER = "invalid reference format: repository name must be lowercase"
TOO_LONG = "repository name must not be more than 255 characters"


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("x", "docker.io/library/x", "x"),
        ("x:1.36", "docker.io/library/x:1.36", "x:1.36"),
        ("x:V_1.-", "docker.io/library/x:V_1.-", "x:V_1.-"),
        ("library/x", "docker.io/library/x", "x"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("library", "docker.io/library/library", "library"),
        ("a/b", "docker.io/a/b", "a/b"),
        ("a/b/c", "docker.io/a/b/c", "a/b/c"),
        ("docker.io/x", "docker.io/library/x", "x"),
        ("docker.io/a/b", "docker.io/a/b", "a/b"),
        ("index.docker.io/x", "docker.io/library/x", "x"),
        ("index.docker.io/a/b:t", "docker.io/a/b:t", "a/b:t"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost", "docker.io/library/localhost", "localhost"),
        ("localhost:5000/x:t", "localhost:5000/x:t", "localhost:5000/x:t"),
        ("host:5000", "docker.io/library/host:5000", "host:5000"),
        ("ghcr.io/library/x", "ghcr.io/library/x", "ghcr.io/library/x"),
        ("Host/x", "Host/x", "Host/x"),
        ("FOO.bar/x", "FOO.bar/x", "FOO.bar/x"),
        ("192.168.0.1:80/x", "192.168.0.1:80/x", "192.168.0.1:80/x"),
        ("[::1]:5000/x:t", "[::1]:5000/x:t", "[::1]:5000/x:t"),
        ("[2001:db8::1]/x", "[2001:db8::1]/x", "[2001:db8::1]/x"),
        ("a__b/c---d.e_f", "docker.io/a__b/c---d.e_f", "a__b/c---d.e_f"),
        (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:t@{DIGEST}", f"docker.io/library/x:t@{DIGEST}", f"x:t@{DIGEST}"),
        (f"x@sha512:{HEX}{HEX}", f"docker.io/library/x@sha512:{HEX}{HEX}", f"x@sha512:{HEX}{HEX}"),
        (HEX[1:], f"docker.io/library/{HEX[1:]}", HEX[1:]),
        (DIGEST, f"docker.io/library/{DIGEST}", DIGEST),
        ("docker.io/localhost/x", "docker.io/localhost/x", "docker.io/localhost/x"),
        ("docker.io/docker.io/x", "docker.io/docker.io/x", "docker.io/docker.io/x"),
        ("docker.io/a.b", "docker.io/library/a.b", "a.b"),
        (f"a/{HEX}", f"docker.io/a/{HEX}", f"a/{HEX}"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
        ("a" * 237, f"docker.io/library/{'a' * 237}", "a" * 237),
    ],
)
def test_canonical_and_familiar(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar == familiar


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", INVALID),
        (" x", INVALID),
        ("x\n", INVALID),
        ("-a", INVALID),
        ("a-", INVALID),
        ("a..b", INVALID),
        ("a___b", INVALID),
        ("a//b", INVALID),
        ("/a", INVALID),
        ("a/", INVALID),
        ("x:", INVALID),
        ("x:-t", INVALID),
        ("x:.t", INVALID),
        ("x:" + "t" * 129, INVALID),
        ("x:t\u00e4", INVALID),
        ("a:b:c", INVALID),
        ("host.x:port/foo", INVALID),
        ("host-.x/foo", INVALID),
        ("[::1/x", INVALID),
        ("docker.io/foo:5000/bar", INVALID),
        ("\u00e9", INVALID),
        ("\u0660", INVALID),
        ("x@", INVALID),
        ("x@sha256:abc", INVALID),
        (f"@{DIGEST}", INVALID),
        (f"x@{DIGEST}@{DIGEST}", INVALID),
        ("https://docker.io/x", INVALID),
        ("Foo", UPPER),
        ("\u00c9", UPPER),
        ("foo/Bar", UPPER),
        ("host:5000/Foo:t", UPPER),
        (f"Foo@{DIGEST}", UPPER),
        ("FOO_x.y/bar", "repository name must be lowercase"),
        ("a" * 238, TOO_LONG),
        (f"reg.io/{'a' * 249}", TOO_LONG),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        (f"x@{DIGEST}a", "invalid checksum digest length"),
        (f"x@sha512:{HEX}", "invalid checksum digest length"),
        (f"x@sha256:{HEX.upper()}", "invalid checksum digest format"),
        (f"x@md5:{HEX}", "unsupported digest algorithm"),
    ],
)
def test_refused_in_the_words_of_dockerd(text: str, message: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert str(caught.value) == message
    assert caught.value.text == text


def test_parts() -> None:
    reference = Reference.parse(f"localhost:5000/a/b:t@{DIGEST}")
    assert reference == Reference("localhost:5000", "a/b", "t", Digest.parse(DIGEST))
    assert reference.name == reference.familiar_name == "localhost:5000/a/b"
    assert not reference.is_bare
    assert reference.without_tag_and_digest() == Reference("localhost:5000", "a/b")


def test_a_first_component_that_only_looks_like_a_host() -> None:
    reference = Reference.parse("a_b.c/foo:t")
    assert reference == Reference("", "a_b.c/foo", "t")
    assert str(reference) == reference.familiar == "a_b.c/foo:t"


def test_tags_and_digests_are_added_side_by_side() -> None:
    bare = Reference.parse("x")
    digest = Digest.parse(DIGEST)
    assert bare.is_bare
    assert bare.with_tag("t").familiar == "x:t"
    assert bare.with_digest(digest).familiar == f"x@{DIGEST}"
    assert bare.with_digest(digest).with_tag("t").familiar == f"x:t@{DIGEST}"
    assert bare.with_tag("t").with_digest(digest).with_tag("u").familiar == f"x:u@{DIGEST}"
    assert bare.familiar == "x"


def test_latest_is_added_to_a_bare_name_only() -> None:
    assert Reference.parse("x").with_default_tag().familiar == "x:latest"
    assert Reference.parse("x:t").with_default_tag().familiar == "x:t"
    assert Reference.parse(f"x@{DIGEST}").with_default_tag().familiar == f"x@{DIGEST}"


@pytest.mark.parametrize("tag", ["", "b!d", ".x", "-x", "t" * 129, "a\n", "a/b", "a:b", "\u00e4"])
def test_a_tag_is_checked(tag: str) -> None:
    with pytest.raises(InvalidReference, match=r"^invalid tag format$"):
        Reference.parse("x").with_tag(tag)


def test_a_reference_is_a_value() -> None:
    assert len({Reference.parse("x"), Reference.parse("docker.io/library/x")}) == 1
    with pytest.raises(AttributeError):
        Reference.parse("x").tag = "t"  # type: ignore[misc]


def joined(words: st.SearchStrategy[str], separators: list[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(st.sampled_from(separators), words), max_size=2)
    return st.builds(lambda first, more: first + "".join(map("".join, more)), words, pairs)


labels = joined(st.text("aZ09", min_size=1, max_size=3), ["-", "--"])
domains = st.builds(
    "{}.{}{}".format, labels, joined(labels, ["."]), st.sampled_from(["", ":0", ":5000"])
)
components = joined(st.text("az09", min_size=1, max_size=3), [".", "_", "__", "-", "---"])
paths = joined(components, ["/"])
tags = st.none() | st.builds(
    "{}{}".format, st.sampled_from("aZ0_"), st.text("aZ0_.-", max_size=127)
)
digests = st.none() | st.binary().map(Digest.of)


@given(st.none() | st.just("docker.io") | domains, paths, tags, digests)
def test_every_well_formed_reference_survives_a_round_trip(
    domain: str | None, path: str, tag: str | None, digest: Digest | None
) -> None:
    name = f"{domain}/{path}" if domain else path
    text = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = Reference.parse(text)
    assert (reference.tag, reference.digest) == (tag, digest)
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
    assert len(reference.familiar) <= len(str(reference))


@given(st.text() | st.text(alphabet="aA0._-/:@[]\n", max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "a-" * 10**6, "a." * 10**6, "a/" * 10**6, "[" * 10**6]
)
def test_endless_text_is_refused_in_linear_time(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)
