import pytest
from hypothesis import given, strategies as st

from lamina.registry.challenge import Challenge, choose, parse


def _one(header: str) -> Challenge:
    (challenge,) = parse([header])
    return challenge


def test_reads_a_token_servers_address_service_and_scope() -> None:
    challenge = _one(
        'Bearer realm="https://auth.example/token",service="registry.example",'
        'scope="repository:a/b:pull,push"'
    )
    assert challenge.scheme == "bearer"
    assert dict(challenge.parameters) == {
        "realm": "https://auth.example/token",
        "service": "registry.example",
        "scope": "repository:a/b:pull,push",
    }


@pytest.mark.parametrize(
    ("header", "parameters"),
    [
        ('Basic realm="a, b"', {"realm": "a, b"}),
        (r'Basic realm="a \"b\" \\ c"', {"realm": r'a "b" \ c'}),
        ("Basic Realm = plain", {"realm": "plain"}),
        (
            "Bearer realm=https://h:1/t?x=1,service=s",
            {"realm": "https://h:1/t?x=1", "service": "s"},
        ),
        ("Basic", {}),
        ("Basic realm=", {"realm": ""}),
        ('Basic realm="one", realm="two"', {"realm": "one"}),
        ("Basic dXNlcjpwYXNz==", {}),
    ],
)
def test_reads_quoted_plain_and_missing_values(header: str, parameters: dict[str, str]) -> None:
    assert dict(_one(header).parameters) == parameters


def test_reads_several_challenges_of_one_header_and_of_several() -> None:
    found = parse(['Negotiate, Basic realm="x", Bearer realm="y",service="z"', "Digest abc=="])
    assert [challenge.scheme for challenge in found] == ["negotiate", "basic", "bearer", "digest"]
    assert found[1].get("realm") == "x"
    assert found[2].get("service") == "z"
    assert found[2].get("scope") == ""


def test_chooses_bearer_before_basic_and_only_with_a_realm() -> None:
    basic, bearer = Challenge("basic"), Challenge("bearer", {"realm": "https://a"})
    assert choose([basic, bearer]) == bearer
    assert choose([Challenge("bearer"), basic]) == basic
    assert choose([Challenge("digest")]) is None


@given(st.text(max_size=200))
def test_takes_any_text_without_failing(text: str) -> None:
    for challenge in parse([text]):
        assert challenge.scheme


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(codec="ascii"))
    )
)
def test_what_is_quoted_comes_back(parameters: dict[str, str]) -> None:
    quoted = {
        name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()
    }
    header = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    if any("\n" in value for value in parameters.values()):
        return  # A header cannot hold one.
    assert dict(_one(header).parameters) == parameters
