import pytest

from lamina.registry.challenge import Challenge
from lamina.registry.credentials import ANONYMOUS, AuthConfig
from lamina.registry.token import TokenError, merge_scopes, read, requests, scope

_CHALLENGE = Challenge("bearer", {"realm": "https://auth.example/token?x=1", "service": "a b"})
_SCOPES = ("repository:a:pull", "repository:b:pull,push")


def test_a_stranger_asks_by_get() -> None:
    (request,) = requests(_CHALLENGE, ANONYMOUS, _SCOPES, client_id="lamina")
    assert (request.method, request.basic, request.form) == ("GET", None, b"")
    assert request.url.query.getall("scope") == list(_SCOPES)
    assert request.url.query["service"] == "a b"
    assert request.url.query["x"] == "1"


def test_a_password_goes_by_get_then_by_post() -> None:
    who = AuthConfig(username="u", password="p&q")
    first, second = requests(_CHALLENGE, who, _SCOPES, client_id="lamina", offline=True)
    assert first.basic == ("u", "p&q")
    assert first.url.query["account"] == "u"
    assert first.url.query["offline_token"] == "true"
    assert "p&q" not in str(first.url)
    assert second.method == "POST"
    assert b"password=p%26q" in second.form
    assert b"grant_type=password" in second.form
    assert b"scope=repository%3Aa%3Apull+repository%3Ab%3Apull%2Cpush" in second.form
    assert b"access_type=offline" in second.form


def test_a_refresh_token_goes_by_post_only() -> None:
    who = AuthConfig(username="u", password="p", identitytoken="r")
    (request,) = requests(_CHALLENGE, who, (), client_id="lamina")
    assert request.method == "POST"
    assert b"refresh_token=r" in request.form
    assert b"scope" not in request.form


@pytest.mark.parametrize(
    ("answer", "value", "life"),
    [
        (b'{"token":"t","expires_in":300}', "t", 290),
        (b'{"access_token":"t","expires_in":"300"}', "t", 290),
        (b'{"token":"t","access_token":"u"}', "t", 50),
        (b'{"token":"t","expires_in":1}', "t", 50),
        (b'{"token":"t","expires_in":1e300}', "t", 86_390),
        (b'{"token":null,"access_token":"t"}', "t", 50),
    ],
)
def test_reads_a_token_and_how_long_it_lives(answer: bytes, value: str, life: float) -> None:
    token = read(answer, now=1000)
    assert token.value == value
    assert token.expires == 1000 + life


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"token":""}', b'{"token":"a b"}', b"[" * 100_000]
)
def test_what_is_no_token_is_refused(answer: bytes) -> None:
    with pytest.raises(TokenError):
        read(answer, now=0)


def test_scopes_are_merged_to_one_order() -> None:
    assert scope("a/b", "pull", "push") == "repository:a/b:pull,push"
    assert merge_scopes(["b", "a"], ["a", ""]) == ("a", "b")
