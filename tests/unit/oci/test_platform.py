import msgspec
import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidPlatform
from lamina.oci.platform import (
    KNOWN_ARCHITECTURES,
    KNOWN_OPERATING_SYSTEMS,
    Platform,
    choose,
    host,
)


@pytest.mark.parametrize(
    ("text", "platform", "shown"),
    [
        ("linux/amd64", Platform("linux", "amd64"), "linux/amd64"),
        ("Linux/X86_64", Platform("linux", "amd64"), "linux/amd64"),
        ("linux/x86-64", Platform("linux", "amd64"), "linux/amd64"),
        ("linux/amd64/v1", Platform("linux", "amd64"), "linux/amd64"),
        ("linux/amd64/V3", Platform("linux", "amd64", "v3"), "linux/amd64/v3"),
        ("linux/i386", Platform("linux", "386"), "linux/386"),
        ("linux/i386/x", Platform("linux", "386"), "linux/386"),
        ("linux/arm64", Platform("linux", "arm64"), "linux/arm64"),
        ("linux/aarch64", Platform("linux", "arm64"), "linux/arm64"),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8"), "linux/arm64/v8"),
        ("linux/arm64/8", Platform("linux", "arm64", "v8"), "linux/arm64/v8"),
        ("linux/arm64/v9", Platform("linux", "arm64", "v9"), "linux/arm64/v9"),
        ("linux/arm", Platform("linux", "arm"), "linux/arm"),
        ("linux/armhf", Platform("linux", "arm"), "linux/arm"),
        ("linux/armel", Platform("linux", "arm", "v6"), "linux/arm/v6"),
        ("linux/arm/7", Platform("linux", "arm", "v7"), "linux/arm/v7"),
        ("linux/arm/6", Platform("linux", "arm", "v6"), "linux/arm/v6"),
        ("macos/arm64", Platform("darwin", "arm64"), "darwin/arm64"),
        ("plan10/vax/780", Platform("plan10", "vax", "780"), "plan10/vax/780"),
    ],
)
def test_parse(text: str, platform: Platform, shown: str) -> None:
    assert Platform.parse(text) == platform
    assert str(platform) == shown


def test_what_is_left_out_is_this_machines() -> None:
    here = host()
    assert Platform.parse("linux").os == "linux"
    assert Platform.parse("linux").architecture == here.architecture
    assert Platform.parse("macos").os == "darwin"
    assert Platform.parse("s390x") == Platform(here.os, "s390x")
    assert Platform.parse("aarch64") == Platform(here.os, "arm64")
    assert Platform.parse("armhf") == Platform(here.os, "arm")


def test_host_is_a_platform_that_go_would_know() -> None:
    here = host()
    assert here.os in KNOWN_OPERATING_SYSTEMS
    assert here.architecture in KNOWN_ARCHITECTURES
    assert here.matches(here)


RULE = 'platform specifier component must match "^[A-Za-z0-9_-]+$": invalid argument'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("", f'"" is an invalid component of "": {RULE}'),
        ("/", f'"" is an invalid component of "/": {RULE}'),
        ("linux/", f'"" is an invalid component of "linux/": {RULE}'),
        ("li nux", f'"li nux" is an invalid component of "li nux": {RULE}'),
        ("linux/a\n", f'"a\\n" is an invalid component of "linux/a\\n": {RULE}'),
        ("a*b", '"a*b": wildcards not yet supported: invalid argument'),
        ("linux/a/b/c", '"linux/a/b/c": cannot parse platform specifier: invalid argument'),
    ],
)
def test_refused_in_the_words_of_containerd(text: str, message: str) -> None:
    with pytest.raises(InvalidPlatform) as caught:
        Platform.parse(text)
    assert str(caught.value) == message
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("wanted", "offered", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["linux/386", "linux/amd64"], 1),
        ("linux/amd64", ["linux/arm64", "linux/386"], 1),
        ("linux/amd64", ["linux/amd64/v2", "windows/amd64"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ("linux/386", ["linux/amd64"], None),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm64", ["linux/arm64/v9"], None),
        ("linux/arm64/v9", ["linux/arm/v7", "linux/arm64"], 1),
        ("linux/arm/v8", ["linux/arm/v6", "linux/arm/v7", "linux/arm/v5"], 1),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], 1),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm64"], None),
        ("linux/s390x", ["linux/s390x", "linux/s390x"], 0),
        ("linux/riscv64", [], None),
    ],
)
def test_choose(wanted: str, offered: list[str], best: int | None) -> None:
    assert choose([Platform.parse(text) for text in offered], Platform.parse(wanted)) == best


def test_what_names_no_platform_is_never_chosen() -> None:
    wanted = Platform("linux", "amd64")
    assert choose([None, Platform(), Platform("unknown", "unknown")], wanted) is None
    assert choose([None, wanted], wanted) == 1


@pytest.mark.parametrize(
    ("wanted", "image", "runs"),
    [
        (Platform("linux", "amd64"), Platform("linux", "amd64"), True),
        (Platform("linux", "amd64"), Platform("linux", "x86_64"), True),
        (Platform("linux", "amd64"), Platform("linux", "386"), True),
        (Platform("linux", "arm", "v6"), Platform("linux", "arm"), True),
        (Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7"), False),
        (Platform("linux", "amd64"), Platform("linux", "arm64"), False),
        (Platform("linux", "amd64"), Platform("windows", "amd64"), False),
        (Platform("linux", "amd64"), Platform(), False),
    ],
)
def test_matches(wanted: Platform, image: Platform, *, runs: bool) -> None:
    assert wanted.matches(image) is runs


def test_json_has_the_names_of_the_specification() -> None:
    raw = b'{"os":"windows","architecture":"amd64","os.version":"10.0","os.features":["win32k"]}'
    platform = msgspec.json.decode(raw, type=Platform)
    assert platform == Platform("windows", "amd64", os_version="10.0", os_features=("win32k",))
    assert msgspec.json.encode(platform) == raw


words = st.sampled_from(
    [
        "linux",
        "windows",
        "amd64",
        "x86_64",
        "arm",
        "armhf",
        "arm64",
        "v5",
        "8",
        "v1",
        "V8",
        "unusual",
    ]
)


@given(words, words, words | st.just(""))
def test_parsing_again_what_is_shown_changes_nothing(os: str, arch: str, variant: str) -> None:
    platform = Platform.parse("/".join(filter(None, (os, arch, variant))))
    assert Platform.parse(str(platform)) == platform
    normal = platform.normalized()
    assert normal.normalized() == normal
    assert platform.matches(normal)
    assert normal.matches(platform)
    assert choose([platform], normal) == 0


@given(st.text())
def test_any_text_is_a_platform_or_refused(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidPlatform:
        return
    assert Platform.parse(str(platform)) == platform
