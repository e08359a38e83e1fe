import pytest

from tests.unit.api.wire import Wire


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/plugins", b"[]\n"),
        ("POST", "/networks/prune", b'{"NetworksDeleted":null}\n'),
        ("POST", "/volumes/prune", b'{"SpaceReclaimed":0,"VolumesDeleted":null}\n'),
    ],
)
async def test_there_is_nothing_of_it(wire: Wire, method: str, path: str, body: bytes) -> None:
    reply = await wire.ask(method, path)
    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("PUT", "/volumes/v", "get v: no such volume"),
        ("GET", "/plugins/p/json", 'plugin "p" not found'),
    ],
)
async def test_what_is_named_does_not_exist(
    wire: Wire, method: str, path: str, message: str
) -> None:
    reply = await wire.ask(method, path)
    assert (reply.status, reply.message) == (404, message)


@pytest.mark.parametrize("path", ["/swarm", "/services", "/nodes", "/tasks/x", "/secrets"])
async def test_swarm_is_not_active(wire: Wire, path: str) -> None:
    reply = await wire.ask("GET", path)
    assert reply.status == 503
    assert reply.message.startswith("This node is not a swarm manager.")


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", "/session", "BuildKit's protocol"),
    ],
)
async def test_what_cannot_be_done_says_so(wire: Wire, method: str, path: str, what: str) -> None:
    reply = await wire.ask(method, path, body=b"{}")
    assert (reply.status, reply.message) == (501, f"lamina does not implement {what} yet")
