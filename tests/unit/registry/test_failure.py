import json

import pytest

from lamina.errors import Forbidden, NotFound, Unauthorized
from lamina.registry.challenge import parse
from lamina.registry.failure import (
    RegistryDenied,
    RegistryError,
    RegistryNotFound,
    RegistryUnauthorized,
    TooManyRequests,
    explain,
)

_UNPARSABLE = "error parsing HTTP 404 response body: "


def _body(*errors: tuple[str, str]) -> bytes:
    return json.dumps(
        {"errors": [{"code": code, "message": text, "detail": None} for code, text in errors]}
    ).encode()


@pytest.mark.parametrize(
    ("status", "problem", "kind", "text"),
    [
        (
            403,
            ("DENIED", "requested access to the resource is denied"),
            RegistryDenied,
            "denied: requested access to the resource is denied",
        ),
        (
            404,
            ("MANIFEST_UNKNOWN", "manifest unknown"),
            RegistryNotFound,
            "manifest unknown: manifest unknown",
        ),
        (
            404,
            ("NAME_UNKNOWN", ""),
            RegistryNotFound,
            "name unknown: repository name not known to registry",
        ),
        (
            401,
            ("UNAUTHORIZED", "authentication required"),
            RegistryUnauthorized,
            "unauthorized: authentication required",
        ),
        (
            429,
            ("TOOMANYREQUESTS", "You have reached your pull rate limit."),
            TooManyRequests,
            "toomanyrequests: You have reached your pull rate limit.",
        ),
        (400, ("FUNNY", "ha"), RegistryError, "unknown: ha"),
        # Some registries deny with 401 or miss with 400: the code decides.
        (401, ("denied", "no"), RegistryDenied, "denied: no"),
    ],
)
def test_an_error_document_gives_dockers_words_and_its_class(
    status: int, problem: tuple[str, str], kind: type[RegistryError], text: str
) -> None:
    error = explain(status, _body(problem))
    assert type(error) is kind
    assert str(error) == text
    assert error.status == status


def test_refusals_are_also_what_the_api_turns_into_a_status() -> None:
    assert isinstance(explain(401, b""), Unauthorized)
    assert isinstance(explain(403, b""), Forbidden)
    assert isinstance(explain(404, b""), NotFound)
    assert not isinstance(explain(429, b""), Unauthorized | Forbidden | NotFound)


def test_several_errors_are_listed_and_the_first_decides() -> None:
    error = explain(400, _body(("NAME_INVALID", "bad"), ("DENIED", "no")))
    assert str(error) == "errors:\nname invalid: bad\ndenied: no\n"
    assert error.code == "NAME_INVALID"
    assert [problem.code for problem in error.problems] == ["NAME_INVALID", "DENIED"]


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (500, b"boom", "received unexpected HTTP status: 500 Internal Server Error"),
        (503, _body(("DENIED", "x")), "received unexpected HTTP status: 503 Service Unavailable"),
        (302, b"", "received unexpected HTTP status: 302 Found"),
        (
            404,
            b"<h>",
            _UNPARSABLE + "invalid character '<' looking for beginning of value: \"<h>\"",
        ),
        (404, b"", 'error parsing HTTP 404 response body: unexpected end of JSON input: ""'),
        (
            404,
            b"{}",
            _UNPARSABLE + 'no error details found in HTTP response body: "{}"',
        ),
        (401, b"nope", "unauthorized: authentication required"),
        (
            401,
            b'{"details":"incorrect username or password"}',
            "unauthorized: incorrect username or password",
        ),
        (429, b'{"details":"slow down"}', "toomanyrequests: slow down"),
    ],
)
def test_other_bodies_are_told_as_a_dockerd_tells_them(status: int, body: bytes, text: str) -> None:
    assert str(explain(status, body)) == text


def test_a_bearer_challenge_explains_a_refusal_before_its_body() -> None:
    challenges = parse(['Bearer realm="x",error="insufficient_scope"'])
    error = explain(403, _body(("UNAUTHORIZED", "who?")), challenges=challenges)
    assert str(error) == (
        "errors:\ndenied: requested access to the resource is denied\nunauthorized: who?\n"
    )
    assert isinstance(error, RegistryDenied)
    described = parse(['Bearer realm="x",error="invalid_token",error_description="it is old"'])
    assert str(explain(401, b"", challenges=described)) == "unauthorized: it is old"


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [' + b"[" * 100_000,
        b'{"errors": {"code": 1}}',
        b'{"errors": [null]}',
        b'{"errors": null, "details": 5}',
        b"\xff\xfe",
        b"[]",
    ],
)
def test_a_hostile_body_gives_a_short_error(body: bytes) -> None:
    error = explain(404, body)
    assert isinstance(error, RegistryNotFound)
    assert len(str(error)) < 5000
