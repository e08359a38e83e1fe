import pytest

from tests.unit.api.conftest import Served
from tests.unit.api.test_archives import eventually
from tests.unit.api.wire import Wire, connect


async def test_ping(wire: Wire) -> None:
    reply = await wire.ask("GET", "/_ping")
    assert (reply.status, reply.body) == (200, b"OK")
    del reply.headers["date"]
    assert reply.headers == {
        "api-version": "1.44",
        "builder-version": "1",
        "cache-control": "no-cache, no-store, must-revalidate",
        "content-length": "2",
        "content-type": "text/plain; charset=utf-8",
        "docker-experimental": "false",
        "ostype": "linux",
        "pragma": "no-cache",
        "server": "Docker/lamina-1.2.3 (linux)",
        "swarm": "inactive",
    }


async def test_ping_by_head(wire: Wire) -> None:
    reply = await wire.ask("HEAD", "/v1.24/_ping")
    assert (reply.status, reply.headers["content-length"]) == (200, "0")
    # Nothing follows the head: the next reply begins at once.
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


@pytest.mark.parametrize("path", ["/v1.41/images/json", "/x/y", "/_ping", "/", "*"])
async def test_options_of_anything(wire: Wire, path: str) -> None:
    reply = await wire.ask("OPTIONS", path)
    assert (reply.status, reply.headers["content-length"]) == (200, "0")
    assert "content-type" not in reply.headers
    assert (await wire.ask("OPTIONS", "/v9.9/images/json")).status == 400


async def test_version_tells_the_servers_api(wire: Wire) -> None:
    version = (await wire.ask("GET", "/version")).json()
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.44", "1.12")
    (engine,) = version["Components"]
    assert engine["Details"] == {
        "ApiVersion": "1.44",
        "Arch": "amd64",
        "Experimental": "false",
        "MinAPIVersion": "1.12",
    }


async def test_info_counts_who_listens(served: Served, wire: Wire) -> None:
    assert (await wire.ask("GET", "/info")).json()["NEventsListener"] == 0
    async with connect(served.path) as listener:
        await listener.request("GET", "/events")
        await listener.head()
        assert (await wire.ask("GET", "/info")).json()["NEventsListener"] == 1
    await eventually(lambda: served.engine.cancelled == ["system_events"])
    assert (await wire.ask("GET", "/info")).json()["NEventsListener"] == 0


async def test_disk_use(served: Served, wire: Wire) -> None:
    served.engine.add("", b"tar!")
    old = (await wire.ask("GET", "/v1.41/system/df?type=image")).json()
    assert old["Images"][0]["VirtualSize"] == 4
    new = (await wire.ask("GET", "/system/df?type=image&type=volume")).json()
    assert "VirtualSize" not in new["Images"][0]
    calls = [call for name, call in served.engine.calls if name == "system_data_usage"]
    assert calls == [[], ["image", "volume"]]


async def test_events_are_lines_and_chunks_of_their_own(served: Served, wire: Wire) -> None:
    await served.engine.happen("pull", "old")
    await wire.request("GET", "/events")
    head = await wire.head()
    assert head.headers["content-type"] == "application/json"
    assert await wire.chunk() == (
        b'{"Type":"image","Action":"pull","Actor":{"ID":"old","Attributes":{"name":"old"}},'
        b'"scope":"local","time":1,"timeNano":1000000000}\n'
    )
    for name in ("a", "b"):
        await served.engine.happen("tag", name)
        assert b'"ID":"%b"' % name.encode() in await wire.chunk()


async def test_events_say_200_before_there_is_any(wire: Wire) -> None:
    await wire.request("GET", "/events")
    assert (await wire.head()).status == 200


async def test_events_until_a_time_end(served: Served, wire: Wire) -> None:
    await served.engine.happen("tag", "a")
    reply = await wire.ask("GET", "/events?until=1")
    assert len(reply.chunks) == 1
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_no_events_at_all_are_an_empty_reply(wire: Wire) -> None:
    reply = await wire.ask("GET", "/events?until=1")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (
        200,
        b"",
        "application/json",
    )


async def test_a_bad_time_is_a_status(wire: Wire) -> None:
    reply = await wire.ask("GET", "/events?since=never")
    assert (reply.status, reply.message) == (400, "invalid value for since")
    assert (await wire.ask("GET", "/events?filters=x")).message == "invalid filter"


async def test_clients_before_json_errors_get_plain_text(wire: Wire) -> None:
    reply = await wire.ask("GET", "/v1.22/images/none:x/json")
    assert (reply.status, reply.body) == (404, b"No such image: none:x\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await wire.ask("GET", "/v1.24/images/none:x/json")).json() == {
        "message": "No such image: none:x"
    }
