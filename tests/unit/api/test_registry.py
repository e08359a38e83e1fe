"""Requests which go on to registries, over the wire."""

import json
from urllib.parse import quote

import pytest

from tests.unit.api.conftest import Served
from tests.unit.api.wire import Wire


async def test_push(served: Served, wire: Wire) -> None:
    headers = ("X-Registry-Auth: e30=", "X-Meta-Build: 7", "X-Meta-Build: 8")
    reply = await wire.ask("POST", "/images/team/x/push?tag=1", *headers)
    meta = {"Build": "7, 8"}
    assert served.engine.calls == [("image_push", ("team/x", "1", "e30=", meta))]
    assert [json.loads(line) for line in reply.body.splitlines()] == [
        {"status": "The push refers to repository [docker.io/library/team/x]"},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": "sha256:d", "Size": 1}},
    ]


async def test_credentials_in_the_body_of_a_push(served: Served, wire: Wire) -> None:
    await wire.ask("POST", "/images/x/push", body=b'{"username":"me","password":"secret"}')
    auth = {"username": "me", "password": "secret"}
    assert served.engine.calls == [("image_push", ("x", "", auth, {}))]


async def test_names_in_any_case_and_nulls(served: Served, wire: Wire) -> None:
    body, kind = (
        b'{"UserName":"me","Password":"secret","email":null}',
        "Content-Type: application/json",
    )
    for path in ("/auth", "/images/x/push"):
        assert (await wire.ask("POST", path, kind, body=body)).status == 200
    auth = {"username": "me", "password": "secret"}
    assert served.engine.calls == [("system_auth", auth), ("image_push", ("x", "", auth, {}))]


# As Go's decoder has it; a dockerd goes on with what it has understood.
async def test_json_that_is_no_utf8(served: Served, wire: Wire) -> None:
    body, kind = b'{"username":"m\xff","password":"secret"}', "Content-Type: application/json"
    for path in ("/auth", "/images/x/push"):
        assert (await wire.ask("POST", path, kind, body=body)).status == 200
    auth = {"username": "m\ufffd", "password": "secret"}
    assert served.engine.calls == [("system_auth", auth), ("image_push", ("x", "", auth, {}))]


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b"[1]"])
async def test_a_push_without_credentials(served: Served, wire: Wire, body: bytes) -> None:
    assert (await wire.ask("POST", "/images/x/push", body=body)).status == 200
    assert served.engine.calls == [("image_push", ("x", "", {}, {}))]


async def test_a_push_that_fails(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/x/push?tag=2")
    assert reply.status == 200
    assert json.loads(reply.body.splitlines()[-1]) == {
        "errorDetail": {"message": "tag does not exist: x:2"},
        "error": "tag does not exist: x:2",
    }


async def test_a_push_of_a_bad_name_is_an_http_error(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/Bad/push")
    assert reply.status == 400
    assert reply.message == "invalid reference format: repository name must be lowercase"


async def test_search(served: Served, wire: Wire) -> None:
    target = "/images/search?term=x&limit=7&filters=%7B%22stars%22%3A%5B%223%22%5D%7D"
    reply = await wire.ask("GET", target)
    assert served.engine.calls == [("image_search", ("x", 7, {"stars": ["3"]}, "", {}))]
    assert reply.body == (
        b'[{"star_count":3,"is_official":true,"name":"x","is_automated":false,"description":""}]\n'
    )


async def test_search_without_a_limit(served: Served, wire: Wire) -> None:
    await wire.ask("GET", "/images/search?term=x")
    assert served.engine.calls == [("image_search", ("x", 25, {}, "", {}))]


@pytest.mark.parametrize("limit", ["a", "1.5", "--1", "", "٣"])
async def test_a_limit_that_is_no_number(wire: Wire, limit: str) -> None:
    reply = await wire.ask("GET", f"/images/search?term=x&limit={quote(limit)}")
    if limit:
        message = f'invalid limit specified: strconv.Atoi: parsing "{limit}": invalid syntax'
        assert (reply.status, reply.message) == (400, message)
    else:
        assert reply.status == 200


async def test_a_limit_that_is_too_large(wire: Wire) -> None:
    reply = await wire.ask("GET", f"/images/search?term=x&limit={'1' * 30}")
    message = f'invalid limit specified: strconv.Atoi: parsing "{"1" * 30}": value out of range'
    assert (reply.status, reply.message) == (400, message)


async def test_auth(served: Served, wire: Wire) -> None:
    body = b'{"username":"me","password":"secret","serveraddress":"r:5000","more":1}'
    reply = await wire.ask("POST", "/auth", "Content-Type: application/json", body=body)
    assert reply.body == b'{"IdentityToken":"","Status":"Login Succeeded"}\n'
    auth = {"username": "me", "password": "secret", "serveraddress": "r:5000"}
    assert served.engine.calls == [("system_auth", auth)]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("application/json", b"x", "invalid JSON: "),
        ("application/json", b"{}{}", "invalid JSON: "),
        ("application/json", b'{"username":1}', "invalid JSON: "),
        ("text/plain", b"{}", "unsupported Content-Type header (text/plain): must be"),
        ("nonsense", b"{}", "malformed Content-Type header (nonsense)"),
    ],
)
async def test_a_login_that_is_none(wire: Wire, kind: str, body: bytes, message: str) -> None:
    reply = await wire.ask("POST", "/auth", f"Content-Type: {kind}", body=body)
    assert reply.status == 400
    assert reply.message.startswith(message)


async def test_distribution(served: Served, wire: Wire) -> None:
    reply = await wire.ask("GET", "/distribution/team/x:1/json", "X-Registry-Auth: e30=")
    assert served.engine.calls == [("distribution_inspect", ("team/x:1", "e30="))]
    assert json.loads(reply.body) == {
        "Descriptor": {"mediaType": "m", "digest": "sha256:d", "size": 1},
        "Platforms": [{"architecture": "arm64", "os": "linux", "variant": "v8"}],
    }
