"""The container endpoints: what they pass on, and the replies they make of the answers."""

import base64
import json
from urllib.parse import quote

import pytest

from lamina.models import DeviceMapping, HostConfig, PortBinding, RestartPolicy
from lamina.oci.containerconfig import ContainerConfig
from tests.unit.api.conftest import Served
from tests.unit.api.wire import Reply, Wire

JSON = "Content-Type: application/json"


async def post(wire: Wire, path: str, value: object) -> Reply:
    return await wire.ask("POST", path, JSON, body=json.dumps(value).encode())


async def test_create_reads_what_a_client_sends(served: Served, wire: Wire) -> None:
    body = {
        "Image": "busybox",
        "Cmd": "true",
        "Entrypoint": None,
        "Env": ["A=b"],
        "ExposedPorts": {"80/tcp": None},
        "Labels": {"a": None},
        "Unknown": 1,
        "workingdir": "/",
        "HostConfig": {
            "Memory": 1 << 20,
            "MemorySwappiness": None,
            "PidsLimit": -1,
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": None}],
            "PortBindings": {"80/tcp": [{"HostPort": "80", "HostIp": None}], "81/tcp": None},
            "RestartPolicy": {"Name": "always"},
        },
        "NetworkingConfig": {"EndpointsConfig": None},
    }
    reply = await post(wire, "/v1.44/containers/create?name=n&platform=linux", body)
    assert (reply.status, reply.body) == (201, b'{"Id":"c0","Warnings":[]}\n')
    [(_, given)] = served.engine.calls
    assert isinstance(given, tuple)
    config, host_config, networking, name, platform = given
    assert config == ContainerConfig(
        image="busybox",
        cmd=("true",),
        env=("A=b",),
        exposed_ports={"80/tcp": {}},
        labels={"a": ""},
        working_dir="/",
    )
    assert host_config == HostConfig(
        memory=1 << 20,
        devices=(DeviceMapping(path_on_host="/dev/null"),),
        port_bindings={"80/tcp": (PortBinding(host_port="80"),), "81/tcp": None},
        restart_policy=RestartPolicy(name="always"),
    )
    assert networking is not None
    assert (name, platform) == ("n", "linux")


async def test_create_before_1_25_leaves_removing_to_the_client(served: Served, wire: Wire) -> None:
    body = {"Image": "a", "HostConfig": {"AutoRemove": True}}
    await post(wire, "/v1.24/containers/create", body)
    await post(wire, "/v1.39/containers/create", body)
    await post(wire, "/v1.40/containers/create", body)
    configs = [call[1][1] for call in served.engine.calls if isinstance(call[1], tuple)]
    assert [config.auto_remove for config in configs] == [False, True, True]
    assert [config.ipc_mode for config in configs] == ["shareable", "shareable", ""]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "Config cannot be empty in order to create a container"),
        (b'{"HostConfig":{}}', "Config cannot be empty in order to create a container"),
        (b'{"Image":1}', "invalid JSON: Expected `str`, got `int` - at `$.image`"),
        (b"[]", "invalid JSON: Expected `object`, got `array`"),
        (b"{", "invalid JSON: Input data was truncated"),
    ],
)
async def test_create_refuses_what_is_no_configuration(
    wire: Wire, body: bytes, message: str
) -> None:
    reply = await wire.ask("POST", "/containers/create", JSON, body=body)
    assert reply.status == 400
    assert reply.message.lower() == message.lower()


async def test_list_passes_its_parameters_on(served: Served, wire: Wire) -> None:
    filters = quote('{"status":["exited"]}')
    reply = await wire.ask("GET", f"/containers/json?all=1&limit=2&size=1&filters={filters}")
    assert (reply.status, reply.body) == (200, b"[]\n")
    assert served.engine.calls == [("list", (True, 2, True, {"status": ["exited"]}))]
    await wire.ask("GET", "/containers/json?limit=-1")
    assert served.engine.calls[1] == ("list", (False, -1, False, {}))
    reply = await wire.ask("GET", "/containers/json?limit=x")
    assert (reply.status, reply.message) == (400, 'strconv.Atoi: parsing "x": invalid syntax')


@pytest.mark.parametrize(
    ("method", "path", "status", "call"),
    [
        ("POST", "/containers/idle/start", 204, ("start", "idle")),
        ("POST", "/containers/c/start", 304, ("start", "c")),
        ("POST", "/containers/c/stop", 204, ("stop", ("c", "", None))),
        ("POST", "/containers/c/stop?t=-1&signal=INT", 204, ("stop", ("c", "INT", -1))),
        ("POST", "/v1.41/containers/c/stop?t=5&signal=INT", 204, ("stop", ("c", "", 5))),
        ("POST", "/containers/idle/stop", 304, ("stop", ("idle", "", None))),
        ("POST", "/containers/c/restart?t=0", 204, ("restart", ("c", "", 0))),
        ("POST", "/containers/c/kill", 204, ("kill", ("c", "SIGKILL"))),
        ("POST", "/containers/c/kill?signal=HUP", 204, ("kill", ("c", "HUP"))),
        ("POST", "/containers/c/pause", 204, ("pause", "c")),
        ("POST", "/containers/c/unpause", 204, ("unpause", "c")),
        ("POST", "/containers/c/rename?name=d", 204, ("rename", ("c", "d"))),
        ("DELETE", "/containers/c?v=1&force=1", 204, ("delete", ("c", True, True, False))),
    ],
)
async def test_changes_answer_without_a_body(
    served: Served, wire: Wire, *, method: str, path: str, status: int, call: tuple[str, object]
) -> None:
    reply = await wire.ask(method, path)
    assert reply.status == status
    assert "content-length" not in reply.headers
    assert "content-type" not in reply.headers
    assert served.engine.calls == [call]
    # What follows on the connection is the next reply.
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_start_takes_no_configuration(wire: Wire) -> None:
    assert (await post(wire, "/containers/idle/start", {})).status == 204
    reply = await post(wire, "/containers/idle/start", {"Memory": 12})
    assert reply.status == 400
    assert reply.message.startswith("starting container with non-empty request body was")


async def test_a_start_that_fails_is_the_callers_mistake(wire: Wire) -> None:
    reply = await wire.ask("POST", "/containers/bad/start")
    assert reply.status == 400
    assert "executable file not found in $PATH" in reply.message


async def test_resize_needs_two_numbers(served: Served, wire: Wire) -> None:
    reply = await wire.ask("POST", "/containers/c/resize?h=24&w=80")
    assert (reply.status, reply.body) == (200, b"")
    assert served.engine.calls == [("resize", ("c", 24, 80))]
    reply = await wire.ask("POST", "/containers/c/resize?h=24")
    assert (reply.status, reply.message) == (400, 'strconv.Atoi: parsing "": invalid syntax')


async def test_wait_begins_its_reply_before_it_waits(served: Served, wire: Wire) -> None:
    await wire.request("POST", "/containers/c/wait?condition=next-exit")
    reply = await wire.head()
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert served.engine.calls == [("wait", ("c", "next-exit"))]
    served.engine.exits.set()
    assert await wire.chunk() == b'{"StatusCode":3}\n'
    assert await wire.chunk() == b""


async def test_wait_before_1_30_answers_at_the_end(served: Served, wire: Wire) -> None:
    served.engine.exits.set()
    reply = await wire.ask("POST", "/v1.29/containers/c/wait?condition=next-exit")
    assert (reply.status, reply.body) == (200, b'{"StatusCode":3}\n')
    assert "content-length" in reply.headers
    assert served.engine.calls == [("wait", ("c", "not-running"))]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/containers/c/wait?condition=x", 400, 'invalid condition: "x"'),
        ("POST", "/containers/gone/wait", 404, "No such container: gone"),
        ("POST", "/containers/idle/pause", 409, "Container idle is not running"),
        ("GET", "/containers/gone/json", 404, "No such container: gone"),
        ("GET", "/containers/c/archive", 400, "bad parameter: pathcannot be empty"),
        ("DELETE", "/containers/", 400, 'invalid name or ID supplied: ""'),
        (
            "GET",
            "/containers/c/stats?one-shot=1",
            400,
            "cannot have stream=true and one-shot=true",
        ),
        (
            "GET",
            "/containers/c/logs",
            400,
            "Bad parameters: you must choose at least one stream",
        ),
        (
            "GET",
            "/containers/c/archive?path=/nope",
            404,
            "Could not find the file /nope in container c",
        ),
        ("GET", "/containers/c/ws", 404, "page not found"),
        ("POST", "/v1.24/containers/c/copy", 404, "page not found"),
    ],
)
async def test_errors(wire: Wire, method: str, path: str, status: int, message: str) -> None:
    reply = await wire.ask(method, path)
    assert (reply.status, reply.message) == (status, message)


async def test_changes_are_null_where_there_are_none(wire: Wire) -> None:
    assert (await wire.ask("GET", "/containers/idle/changes")).body == b"null\n"
    reply = await wire.ask("GET", "/containers/c/changes")
    assert reply.json() == [{"Path": "/a", "Kind": 1}]


async def test_inspect_has_limits_of_kernel_memory_before_1_42(wire: Wire) -> None:
    old = (await wire.ask("GET", "/v1.41/containers/c/json")).json()
    new = (await wire.ask("GET", "/v1.42/containers/c/json")).json()
    assert {*old["HostConfig"]} - {*new["HostConfig"]} == {"KernelMemory", "KernelMemoryTCP"}


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        (
            "/v1.42/containers/c/logs?stdout=1&stderr=1",
            "application/vnd.docker.multiplexed-stream",
            b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n",
        ),
        (
            "/v1.41/containers/c/logs?stdout=1",
            "application/vnd.docker.raw-stream",
            b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n",
        ),
        (
            "/v1.42/containers/tty/logs?stdout=1",
            "application/vnd.docker.raw-stream",
            b"out\nerr\n",
        ),
    ],
)
async def test_logs_are_multiplexed_unless_there_is_a_terminal(
    wire: Wire, path: str, content_type: str, body: bytes
) -> None:
    reply = await wire.ask("GET", path)
    assert (reply.headers["content-type"], reply.body) == (content_type, body)


async def test_logs_pass_their_parameters_on(served: Served, wire: Wire) -> None:
    query = "stderr=1&since=1&until=2&timestamps=1&tail=5"
    await wire.ask("GET", f"/containers/c/logs?{query}")
    assert served.engine.calls == [("logs", ("c", False, False, True, "1", "2", True, "5"))]


async def test_followed_logs_end_with_the_server(served: Served, wire: Wire) -> None:
    await wire.request("GET", "/containers/tty/logs?stdout=1&follow=1")
    await wire.head()
    assert await wire.chunk() == b"out\nerr\n"
    await served.server.stop(timeout=5)
    assert await wire.chunk() == b""


async def test_stats_are_a_line_each(served: Served, wire: Wire) -> None:
    reply = await wire.ask("GET", "/containers/c/stats?stream=0&one-shot=1")
    assert reply.json()["id"] == "c0"
    assert reply.body.endswith(b"}\n")
    assert served.engine.calls == [("stats", ("c", False, True))]
    await wire.request("GET", "/containers/c/stats")
    await wire.head()
    assert (await wire.chunk()).endswith(b"}\n")


async def test_an_archive_comes_with_what_the_path_is(served: Served, wire: Wire) -> None:
    head = await wire.ask("HEAD", "/containers/c/archive?path=/a")
    reply = await wire.ask("GET", "/containers/c/archive?path=/a")
    for answer in (head, reply):
        assert answer.status == 200
        stat = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
        assert stat == {
            "name": "a",
            "size": 3,
            "mode": 0o644,
            "mtime": "2024-02-29T12:34:56Z",
            "linkTarget": "",
        }
    assert (reply.headers["content-type"], reply.body) == ("application/x-tar", b"tar!")
    assert served.engine.calls == [("archive_info", ("c", "/a")), ("archive", ("c", "/a"))]


async def test_an_archive_can_be_put(served: Served, wire: Wire) -> None:
    path = "/containers/c/archive?path=/a&noOverwriteDirNonDir=1&copyUIDGID=true"
    reply = await wire.ask("PUT", path, body=b"tar!")
    assert (reply.status, reply.body) == (200, b"")
    assert served.engine.calls == [("put_archive", ("c", "/a", True, True))]
    assert b"".join(served.engine.uploads) == b"tar!"


async def test_copy_is_how_old_clients_get_files(served: Served, wire: Wire) -> None:
    reply = await post(wire, "/v1.23/containers/c/copy", {"Resource": "/a"})
    assert (reply.status, reply.body) == (200, b"tar!")
    assert served.engine.calls == [("archive", ("c", "/a"))]


async def test_export(wire: Wire) -> None:
    reply = await wire.ask("GET", "/containers/c/export")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.body == b"tar!"


async def test_exec_reads_what_a_client_sends(served: Served, wire: Wire) -> None:
    body = {"Cmd": ["ls", "/"], "AttachStdout": True, "Tty": True, "ConsoleSize": [24, 80]}
    reply = await post(wire, "/v1.42/containers/c/exec", body)
    assert (reply.status, reply.body) == (201, b'{"Id":"e0"}\n')
    await post(wire, "/v1.41/containers/c/exec", body)
    assert served.engine.execs["e0"].cmd == ("ls", "/")
    assert served.engine.execs["e0"].console_size == (24, 80)
    assert served.engine.execs["e1"].console_size is None
    reply = await wire.ask("GET", "/exec/e0/json")
    assert reply.json()["ProcessConfig"]["entrypoint"] == "ls"
    assert (await wire.ask("POST", "/exec/e0/resize?h=1&w=2")).status == 200
    assert served.engine.calls[-1] == ("exec_resize", ("e0", 1, 2))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Cmd": []}, "No exec command specified"),
        ({"Cmd": ["a"], "DetachKeys": "ctrl-9"}, "Invalid detach keys (ctrl-9) provided"),
    ],
)
async def test_exec_refuses(wire: Wire, body: object, message: str) -> None:
    reply = await post(wire, "/containers/c/exec", body)
    assert (reply.status, reply.message) == (400, message)


async def test_commit_passes_its_parameters_on(served: Served, wire: Wire) -> None:
    query = "container=c&repo=r&tag=t&comment=m&author=a&pause=0&changes=ENV+A%3Db&changes=USER+u"
    reply = await post(wire, f"/commit?{query}", {"Cmd": ["true"]})
    assert (reply.status, reply.body) == (201, b'{"Id":"sha256:c0"}\n')
    config = ContainerConfig(cmd=("true",))
    given = ("c", "r", "t", "m", "a", False, ["ENV A=b", "USER u"], config)
    assert served.engine.calls == [("image_commit", given)]


async def test_commit_needs_no_body_but_a_container(served: Served, wire: Wire) -> None:
    assert (await wire.ask("POST", "/commit?container=c")).status == 201
    assert served.engine.calls == [("image_commit", ("c", "", "", "", "", True, [], None))]
    reply = await wire.ask("POST", "/commit?container=gone")
    assert (reply.status, reply.message) == (404, "No such container: gone")
    reply = await wire.ask("POST", "/commit")
    assert (reply.status, reply.message) == (400, 'invalid name or ID supplied: ""')
