import json
from urllib.parse import urlencode

import pytest

from lamina.models import ImageBuildOutput, Ulimit
from tests.unit.api.conftest import Served
from tests.unit.api.test_archives import eventually
from tests.unit.api.wire import Wire


def target(query: dict[str, object], api: str = "v1.41") -> str:
    return f"/{api}/build?{urlencode(query, doseq=True)}"


async def test_every_parameter(served: Served, wire: Wire) -> None:
    query: dict[str, object] = {
        "dockerfile": "d/Dockerfile",
        "t": ["a", "b:1"],
        "extrahosts": ["a:1.2.3.4", "b:::1"],
        "remote": "https://example.com/x.git",
        "q": "1",
        "nocache": "true",
        "cachefrom": '["a","b"]',
        "pull": "1",
        "rm": "0",
        "forcerm": "1",
        "memory": "64000000",
        "memswap": "-1",
        "cpushares": "2",
        "cpusetcpus": "0-1",
        "cpusetmems": "0",
        "cpuperiod": "3",
        "cpuquota": "4",
        "buildargs": '{"a":"b","c":null}',
        "shmsize": "65536",
        "squash": "1",
        "labels": '{"l":"m"}',
        "networkmode": "host",
        "platform": "linux/arm64",
        "target": "stage",
        "outputs": '[{"Type":"image","Attrs":{"name":"x"}}]',
        "ulimits": '[{"Name":"nofile","Hard":20,"Soft":10}]',
        "cgroupparent": "/x",
    }
    headers = ("X-Registry-Config: e30=", "X-Registry-Auth: e30=", "Content-Type: application/tar")
    reply = await wire.ask("POST", target(query), *headers, body=b"FROM x")
    assert reply.status == 200
    [(_, given)] = served.engine.calls
    assert given == {
        **query,
        **dict.fromkeys(("q", "nocache", "pull", "forcerm", "squash"), True),
        "rm": False,
        "cachefrom": ["a", "b"],
        "buildargs": {"a": "b", "c": None},
        "labels": {"l": "m"},
        **{name: int(str(query[name])) for name in ("memory", "memswap", "cpushares", "shmsize")},
        "cpuperiod": 3,
        "cpuquota": 4,
        "outputs": [ImageBuildOutput(type="image", attrs={"name": "x"})],
        "ulimits": [Ulimit(name="nofile", hard=20, soft=10)],
        "content_type": "application/tar",
        "x_registry_config": "e30=",
        "x_registry_auth": "e30=",
    }


async def test_what_clients_send_where_there_is_nothing(served: Served, wire: Wire) -> None:
    empty = dict.fromkeys(("labels", "cachefrom", "ulimits"), "null") | {"buildargs": "{}"}
    path = target({**empty, "memory": "much", "cpuquota": "", "outputs": "", "version": "1"})
    assert (await wire.ask("POST", path, body=b"FROM x")).status == 200
    [(_, given)] = served.engine.calls
    assert isinstance(given, dict)
    nothing = {name: value for name, value in given.items() if value}
    assert nothing == {"rm": True}


async def test_old_clients_have_no_platform(served: Served, wire: Wire) -> None:
    path = target({"platform": "linux/arm64", "outputs": '[{"Type":"tar"}]'}, "v1.31")
    await wire.ask("POST", path, body=b"FROM x")
    [(_, given)] = served.engine.calls
    assert isinstance(given, dict)
    assert (given["platform"], given["outputs"]) == ("", [])


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"buildargs": "x"}, 400, "error reading build args: "),
        ({"labels": "x"}, 400, "error reading labels: "),
        ({"cachefrom": "x"}, 400, "error reading cache-from: "),
        ({"ulimits": "x"}, 400, "error reading ulimit settings: "),
        ({"outputs": "x"}, 400, "invalid outputs specified: "),
        ({"outputs": "[" * 9999}, 400, "invalid outputs specified: "),
        ({"outputs": '"type=tar'}, 400, "invalid outputs specified: "),
        ({"outputs": "dest=-"}, 400, "invalid outputs specified: type is required"),
        ({"outputs": '[{"Type":"a"}]'}, 400, "invalid output type: a"),
        ({"outputs": ["type=tar", "type=oci"]}, 400, "multiple outputs not supported"),
        ({"outputs": "type=tar,dest=/x"}, 400, "output tar: dest is a path of your machine"),
        ({"outputs": "type=oci,compression=zstd"}, 400, "unknown attribute of output oci: comp"),
        ({"outputs": "type=oci,tar=false"}, 400, "output oci: a layout in a directory"),
        ({"outputs": "type=image,name=a,push=true"}, 400, "output image: push is not supported"),
        ({"outputs": "type=cacheonly,name=a"}, 400, "unknown attribute of output cacheonly"),
        ({"securityopt": '["x"]'}, 400, "security options are not supported on linux"),
        ({"version": "3"}, 400, 'invalid version "3"'),
        ({"version": "2"}, 501, "lamina does not implement BuildKit's protocol yet"),
        ({"shmsize": "x"}, 500, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"shmsize": "1_0"}, 500, 'strconv.ParseInt: parsing "1_0": invalid syntax'),
        (
            {"shmsize": "9223372036854775808"},
            500,
            'strconv.ParseInt: parsing "9223372036854775808": value out of range',
        ),
        ({"remote": "client-session"}, 400, "experimental session with v1 builder"),
    ],
)
async def test_bad_parameters(
    wire: Wire, query: dict[str, object], status: int, message: str
) -> None:
    reply = await wire.ask("POST", target(query), body=b"FROM x")
    assert reply.status == status
    assert reply.message.startswith(message)


@pytest.mark.parametrize(
    "outputs",
    [
        '[{"Type":"tar","Attrs":{"dest":"-"}}]',
        '[{"Type":"local"}]',
        '[{"Type":"image","Attrs":{"name":"a"}},{"Type":"oci","Attrs":null}]',
        "type=docker",
        "type=oci,dest=-",
        ["type=cacheonly", "type=tar,dest="],
        "-",
    ],
)
async def test_what_is_built_is_the_answer(served: Served, wire: Wire, outputs: object) -> None:
    reply = await wire.ask("POST", target({"outputs": outputs}), body=b"FROM x")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-tar")
    assert reply.chunks == [b"FROM x", b"FROM x"]
    [(_, given)] = served.engine.calls
    assert isinstance(given, dict)
    assert given["outputs"][-1].attrs["dest"] == "-"


async def test_a_build_that_fails_has_a_status_where_an_archive_is_wanted(wire: Wire) -> None:
    path = target({"outputs": "type=tar"})
    reply = await wire.ask("POST", path, body=b"fail")
    assert (reply.status, reply.message) == (500, "it failed")
    assert (await wire.ask("POST", path, body=b"")).status == 400


@pytest.mark.parametrize("outputs", ["", "type=tar"])
async def test_a_client_that_hangs_up_ends_the_build(
    served: Served, wire: Wire, outputs: str
) -> None:
    await wire.request("POST", target({"outputs": outputs}), body=b"wait")
    await eventually(lambda: ("wait", None) in served.engine.calls)
    await wire.close()
    await eventually(lambda: served.engine.cancelled == ["image_build"])


async def test_an_archive_that_cannot_be_finished_is_cut_off(wire: Wire) -> None:
    await wire.request("POST", target({"outputs": "type=tar"}), body=b"break")
    assert (await wire.head()).status == 200
    assert await wire.chunk() == b"break"
    assert await wire.at_end()


async def test_an_error_before_the_first_message_is_a_status(wire: Wire) -> None:
    reply = await wire.ask("POST", "/build", body=b"")
    assert (reply.status, reply.message) == (400, "the Dockerfile (Dockerfile) cannot be empty")


async def test_a_command_that_fails_tells_its_status(wire: Wire) -> None:
    reply = await wire.ask("POST", "/build", body=b"fail")
    assert [json.loads(chunk) for chunk in reply.chunks] == [
        {"stream": "fail"},
        {"errorDetail": {"code": 3, "message": "it failed"}, "error": "it failed"},
    ]


async def test_prune(served: Served, wire: Wire) -> None:
    reply = await wire.ask("POST", "/build/prune?all=1&keep-storage=5&filters={}")
    assert reply.body == b'{"CachesDeleted":["a"],"SpaceReclaimed":1}\n'
    assert served.engine.calls == [("build_prune", {"keep": 5, "all": True, "filters": {}})]
    await wire.ask("POST", "/v1.44/build/prune?reserved-space=7")
    assert served.engine.calls[1] == ("build_prune", {"keep": 7, "all": False, "filters": {}})
    reply = await wire.ask("POST", "/build/prune?keep-storage=x")
    assert reply.message == "keep-storage is in bytes and expects an integer, got x"
    assert (await wire.ask("POST", "/v1.30/build/prune")).status == 404


async def test_cancel_wants_an_id(wire: Wire) -> None:
    assert (await wire.ask("POST", "/build/cancel?id=x")).status == 200
    reply = await wire.ask("POST", "/build/cancel")
    assert (reply.status, reply.message) == (400, "build ID not provided")
