import pytest
from yarl import URL

from lamina.registry.redirect import BadLocationError, follows, public, same_origin, target

_HERE = URL("https://reg.example/v2/x/blobs/uploads/1?_state=a")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/y", "https://reg.example/v2/y"),
        ("2?_state=b%2Fc", "https://reg.example/v2/x/blobs/uploads/2?_state=b%2Fc"),
        ("https://cdn.example/b?sig=%2B%20a#f", "https://cdn.example/b?sig=%2B%20a"),
        ("//cdn.example/b", "https://cdn.example/b"),
        # It does not know that a proxy ends TLS for it.
        ("http://reg.example/v2/y", "https://reg.example/v2/y"),
        ("http://reg.example:80/v2/y", "https://reg.example/v2/y"),
        ("", str(_HERE)),
    ],
)
def test_a_location_is_read_byte_for_byte(location: str, url: str) -> None:
    assert str(target(_HERE, location, plain_allowed=False)) == url


@pytest.mark.parametrize(
    "location",
    [
        "http://cdn.example/b",
        "http://reg.example:8080/b",
        "ftp://reg.example/b",
        "http://[x/",
        "file:///etc/passwd",
        "https://h:99999/",
    ],
)
def test_some_locations_are_refused(location: str) -> None:
    with pytest.raises(BadLocationError):
        target(_HERE, location, plain_allowed=False)


def test_the_clear_may_be_allowed() -> None:
    assert str(target(_HERE, "http://cdn.example/b", plain_allowed=True)) == "http://cdn.example/b"
    plain = URL("http://reg.example:5000/")
    assert str(target(plain, "/x", plain_allowed=False)) == "http://reg.example:5000/x"


def test_a_method_with_a_body_is_repeated_only_where_that_is_meant() -> None:
    assert follows("GET", 302)
    assert follows("HEAD", 301)
    assert follows("PUT", 307)
    assert follows("POST", 308)
    assert not follows("POST", 302)
    assert not follows("PUT", 301)
    assert not follows("GET", 304)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert same_origin(URL("https://a/x"), URL("https://a:443/y"))
    assert not same_origin(URL("https://a/x"), URL("http://a/x"))
    assert not same_origin(URL("https://a/x"), URL("https://a:444/x"))
    assert not same_origin(URL("https://a/x"), URL("https://b.a/x"))


def test_secrets_are_private() -> None:
    given = {"AUTHORIZATION": "x", "cookie": "y", "Range": "bytes=1-", "X-Meta-A": "b"}
    assert public(given) == {"Range": "bytes=1-", "X-Meta-A": "b"}
