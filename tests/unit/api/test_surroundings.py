"""Networks and volumes over HTTP."""

import pytest

from tests.unit.api.conftest import Served
from tests.unit.api.wire import Wire


async def test_networks(served: Served, wire: Wire) -> None:
    listed = (await wire.ask("GET", '/networks?filters={"driver":["host"]}')).json()
    assert [network["Name"] for network in listed] == ["host"]
    assert served.engine.calls[0] == ("networks", {"driver": ["host"]})
    described = (await wire.ask("GET", "/v1.41/networks/none?scope=local")).json()
    assert described["Driver"] == "none"
    assert served.engine.calls[-1] == ("network", ("none", "local"))


async def test_volumes(served: Served, wire: Wire) -> None:
    listed = (await wire.ask("GET", '/volumes?filters={"name":["v"]}')).json()
    assert [volume["Name"] for volume in listed["Volumes"]] == ["v"]
    assert "UsageData" not in listed["Volumes"][0]
    assert served.engine.calls[0] == ("volumes", {"name": ["v"]})
    assert (await wire.ask("GET", "/volumes/v")).json()["Mountpoint"] == "/v"
    refused = await wire.ask("DELETE", "/volumes/v")
    assert (refused.status, refused.message[:29]) == (409, "remove v: volume is in use - ")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/networks/no", 404, "network no not found"),
        ("DELETE", "/networks/no", 404, "network no not found"),
        ("POST", "/networks/no/connect", 404, "network no not found"),
        ("DELETE", "/networks/host", 403, "host is a pre-defined network and cannot be removed"),
        ("POST", "/networks/none/connect", 501, "lamina does not implement networks yet"),
        ("POST", "/networks/create", 501, "lamina does not implement networks yet"),
        (
            *("POST", "/networks/host/disconnect", 400),
            "container cannot be disconnected from host network or connected to host network",
        ),
        ("GET", "/volumes/no", 404, "get no: no such volume"),
        ("DELETE", "/volumes/no", 404, "get no: no such volume"),
    ],
)
async def test_what_cannot_be(
    wire: Wire, method: str, path: str, status: int, message: str
) -> None:
    reply = await wire.ask(method, path)
    assert (reply.status, reply.message) == (status, message)
