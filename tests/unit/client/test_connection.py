import pytest

from lamina.api.versions import ApiVersion
from lamina.client.connection import image_path, parse_version
from lamina.errors import InvalidParameter, InvalidReference


def test_versions() -> None:
    assert parse_version("1.41") == ApiVersion(1, 41)
    assert parse_version("1.9") < parse_version("1.24")


@pytest.mark.parametrize("text", ["", "1", "1.", "1.x", "v1.41", "1.41.0", "-1.41", "1.99999"])
def test_no_version(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid API version"):
        parse_version(text)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("busybox", "/images/busybox/json"),
        ("host:5000/a/b:tag", "/images/host:5000/a/b:tag/json"),
        ("a@sha256:0", "/images/a@sha256:0/json"),
        ("a?b#c%d é", "/images/a%3Fb%23c%25d%20%C3%A9/json"),
    ],
)
def test_names_in_paths(name: str, path: str) -> None:
    assert image_path(name, "/json") == path


@pytest.mark.parametrize("name", ["", " ", "..", "a/../../info", "/a", "a//b", "a/", "./a"])
def test_names_that_would_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidReference, match=r"^invalid reference format$"):
        image_path(name, "/json")
