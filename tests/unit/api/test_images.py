import pytest

from tests.unit.api.conftest import Served
from tests.unit.api.wire import Wire


async def test_list_passes_its_parameters_on(served: Served, wire: Wire) -> None:
    filters = "%7B%22reference%22%3A%5B%22a*%22%5D%7D"
    path = f"/v1.42/images/json?all=1&digests=true&shared-size=1&filters={filters}"
    reply = await wire.ask("GET", path)
    assert (reply.status, reply.body) == (200, b"[]\n")
    assert served.engine.calls == [("image_list", (True, {"reference": ["a*"]}, True, True))]


async def test_shared_size_is_not_known_before_1_42(served: Served, wire: Wire) -> None:
    await wire.ask("GET", "/v1.41/images/json?shared-size=1")
    assert served.engine.calls == [("image_list", (False, {}, False, False))]


async def test_the_legacy_filter_is_a_reference(served: Served, wire: Wire) -> None:
    await wire.ask("GET", "/v1.24/images/json?filter=busybox")
    await wire.ask("GET", "/v1.25/images/json?filter=busybox")
    assert [call[1] for call in served.engine.calls] == [
        (False, {"reference": ["busybox"]}, False, False),
        (False, {}, False, False),
    ]


@pytest.mark.parametrize(
    ("filters", "message"),
    [("xx", "invalid filter"), ("%7B%22k%22%3A%5B%22v%22%5D%7D", "invalid filter 'k'")],
)
async def test_bad_filters(wire: Wire, filters: str, message: str) -> None:
    reply = await wire.ask("GET", f"/images/json?filters={filters}")
    assert (reply.status, reply.message) == (400, message)


async def test_names_may_hold_anything_a_reference_holds(served: Served, wire: Wire) -> None:
    image = served.engine.add("host:5000/a/b:c", b"tar!")
    for path in ("host:5000/a/b:c", "host%3A5000%2Fa%2Fb%3Ac", image.id):
        reply = await wire.ask("GET", f"/v1.44/images/{path}/json")
        assert (reply.status, reply.json()["Id"]) == (200, image.id)


async def test_a_reply_has_dockers_headers(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!")
    reply = await wire.ask("GET", "/images/x/json")
    date = reply.headers.pop("date")
    assert date.endswith(" GMT")
    assert reply.headers == {
        "api-version": "1.44",
        "content-type": "application/json",
        "docker-experimental": "false",
        "ostype": "linux",
        "server": "Docker/lamina-1.2.3 (linux)",
        "content-length": str(len(reply.body)),
    }
    assert reply.body.endswith(b"}\n")


async def test_a_missing_image(wire: Wire) -> None:
    for method, path in [
        ("GET", "/images/nope/json"),
        ("GET", "/images/nope/history"),
        ("GET", "/images/nope/get"),
        ("GET", "/images/get?names=nope"),
        ("POST", "/images/nope/tag?repo=x"),
        ("DELETE", "/images/nope"),
    ]:
        reply = await wire.ask(method, path)
        assert (reply.status, reply.message) == (404, "No such image: nope:latest"), path
        assert reply.body == b'{"message":"No such image: nope:latest"}\n'


async def test_history(served: Served, wire: Wire) -> None:
    image = served.engine.add("x:latest", b"tar!")
    reply = await wire.ask("GET", "/images/x/history")
    assert reply.json() == [
        {
            "Comment": "",
            "Created": 0,
            "CreatedBy": "",
            "Id": image.id,
            "Size": 4,
            "Tags": ["x:latest"],
        }
    ]


async def test_tag(served: Served, wire: Wire) -> None:
    image = served.engine.add("x:latest", b"tar!")
    reply = await wire.ask("POST", "/images/x/tag?repo=host:5000/y&tag=z")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (201, b"", "0")
    assert "content-type" not in reply.headers
    assert served.engine.tags["host:5000/y:z"] == image.id
    reply = await wire.ask("POST", "/images/x/tag")
    assert (reply.status, reply.message) == (400, "invalid reference format")


async def test_delete(served: Served, wire: Wire) -> None:
    image = served.engine.add("a/b:c", b"tar!")
    reply = await wire.ask("DELETE", "/images/a/b:c?force=1&noprune=true")
    assert reply.json() == [{"Untagged": "a/b:c"}, {"Deleted": image.id}]
    assert served.engine.calls == [("image_delete", ("a/b:c", True, True))]


@pytest.mark.parametrize("path", ["/images/", "/images/%20"])
async def test_a_blank_name(wire: Wire, path: str) -> None:
    reply = await wire.ask("DELETE", path)
    assert (reply.status, reply.message) == (400, "image name cannot be blank")


async def test_a_conflict(served: Served, wire: Wire) -> None:
    image = served.engine.add("x:1", b"tar!")
    served.engine.tags["x:2"] = image.id
    reply = await wire.ask("DELETE", f"/images/{image.id}")
    assert reply.status == 409
    assert "(must be forced)" in reply.message


async def test_prune(served: Served, wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%220%22%5D%7D")
    assert reply.body == b'{"ImagesDeleted":null,"SpaceReclaimed":0}\n'
    assert served.engine.calls == [("image_prune", {"dangling": ["0"]})]
    assert (await wire.ask("POST", "/v1.24/images/prune")).status == 404


async def test_maps_are_sorted_as_go_does(served: Served, wire: Wire) -> None:
    image = served.engine.add("x:latest", b"tar!")
    image.labels = {"b": "1", "a": "2"}
    body = (await wire.ask("GET", "/images/json")).body
    assert b'"Labels":{"a":"2","b":"1"}' in body
