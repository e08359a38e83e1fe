"""What is asked about containers, told to both servers step by step.

Every story begins with busybox loaded as ``busybox:1``. Containers are named, as their IDs are each
engine's own, and have no network: the dockerd of the tests has none.
"""

import json
from collections.abc import Mapping, Sequence

from tests.conformance.wire import TAR, Ask, filtered, q
from tests.real.images import Entry, directory, file, layer, symlink

Story = Sequence[Ask]

JSON = {"Content-Type": "application/json"}

FOREVER = ["sleep", "1000"]


def create(name: str, *cmd: str, host: Mapping[str, object] | None = None, **config: object) -> Ask:
    """Make a container; without words the image's own command."""
    body: dict[str, object] = {
        "Image": "busybox:1",
        "HostConfig": {"NetworkMode": "none", **(host or {})},
        **({"Cmd": list(cmd)} if cmd else {}),
        **config,
    }
    return Ask("POST", f"/containers/create?name={name}", json.dumps(body).encode(), JSON)


def created(body: object, query: str = "") -> Ask:
    return Ask("POST", f"/containers/create{query}", json.dumps(body).encode(), JSON)


def update(name: str, **resources: object) -> Ask:
    return Ask("POST", f"/containers/{name}/update", json.dumps(resources).encode(), JSON)


def post(name: str, verb: str, /, **query: object) -> Ask:
    return Ask("POST", f"/containers/{name}/{verb}{q(**query) if query else ''}")


def get(name: str, verb: str, /, **query: object) -> Ask:
    return Ask("GET", f"/containers/{name}/{verb}{q(**query) if query else ''}")


def delete(name: str, /, **query: object) -> Ask:
    return Ask("DELETE", f"/containers/{name}{q(**query) if query else ''}")


def run(name: str, *cmd: str, **more: object) -> Story:
    """Make, start and wait for."""
    return [create(name, *cmd, **more), post(name, "start"), post(name, "wait")]  # type: ignore[arg-type]


def listed(**query: object) -> Ask:
    return Ask("GET", f"/containers/json{q(**query)}")


def where(**values: object) -> Ask:
    """The names of all containers that a filter lets through."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in values.items()}
    return listed(all=1, filters=lists)


def put(name: str, path: str, *entries: Entry, **query: object) -> Ask:
    target = f"/containers/{name}/archive{q(path=path, **query)}"
    return Ask("PUT", target, layer(*entries), TAR)


def commit(name: str, body: object | None = None, **query: object) -> Ask:
    target = f"/commit{q(container=name, **query)}"
    if body is None:
        return Ask("POST", target)
    return Ask("POST", target, json.dumps(body).encode(), JSON)


SHELL = ("sh", "-c")

_MOUNTS: Sequence[Mapping[str, object]] = [
    {"Type": "tmpfs", "Source": "/x"},
    {"Type": "tmpfs", "BindOptions": {}},
    *({"Type": "tmpfs", "Target": target} for target in ("", "t", "/", "/a/..")),
    {"Type": "volume", "BindOptions": {}},
    {"Type": "volume", "ReadOnly": True},
    {"Type": "bind", "Source": ""},
    {"Type": "bind", "Source": "etc"},
    {"Type": "bind", "Source": "/none"},
    {"Type": "bind", "Source": "/etc", "Target": ""},
    {"Type": "bind", "Source": "/etc", "VolumeOptions": {}},
    {"Type": "bind", "Source": "/etc", "BindOptions": {"Propagation": "x"}},
    {"Type": "none"},
    {"Type": ""},
]

BAD_MOUNTS: Sequence[Mapping[str, object]] = [
    *({"Mounts": [{"Target": "/t", **mount}]} for mount in _MOUNTS),
    {"Mounts": [{"Type": "tmpfs", "Target": "/t"}, {"Type": "volume", "Target": "/t/"}]},
    *(
        {"Binds": [text]}
        for text in (
            "", ":", "/a::", "/a:/", "/a:t", "/a:/t:ro:x", "/a:/t:x", "/a:/t:ro,rw", "t", "/",
            "/a:/t:z,Z", "/a:/t:private,slave", "/a:/t:nocopy", "/a:rw", "/a:/t:ro,",
        )
    ),
    {"Binds": ["/etc:/t", "/t"]},
    {"Binds": ["/t"], "Tmpfs": {"/t": ""}},
    {"Binds": ["/t"], "Mounts": [{"Type": "tmpfs", "Target": "/t"}]},
    {"Tmpfs": {"t": ""}},
    {"Tmpfs": {"/": ""}},
    *({"VolumesFrom": [text]} for text in ("", ":", "no", "no:x", "no:slave", "no:ro:z")),
]  # fmt: skip

STORIES: dict[str, Story] = {
    "create": [
        create("aa"),
        create("aa"),
        create("bb", "true", Env=["A=b"], WorkingDir="/tmp", User="nobody", Labels={"x": "y"}),
        create("cc", "-c", "true", Entrypoint=["sh"]),
        create("dd", Entrypoint="true"),
        create("ee", "true", Tty=True, OpenStdin=True, StdinOnce=True, AttachStdin=True),
        create("ff", "true", Hostname="h", Domainname="d.example", StopSignal="SIGUSR1"),
        listed(all=1),
        listed(all=1, limit=2),
        listed(limit=1),
        listed(),
    ],
    "create with limits": [
        create(
            "aa",
            "true",
            host={
                "Memory": 64 << 20,
                "MemorySwap": -1,
                "CpuShares": 512,
                "PidsLimit": 100,
                "ShmSize": 1 << 20,
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": "size=1m"},
                "CapAdd": ["NET_ADMIN"],
                "CapDrop": ["CHOWN"],
                "ExtraHosts": ["h:1.2.3.4"],
                "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}],
                "Init": False,
                "GroupAdd": ["5"],
                "AutoRemove": False,
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
            },
        ),
    ],
    "create refuses": [
        created({}),
        created({"HostConfig": {}}),
        created({"Image": "none"}),
        created({"Image": "none:1"}),
        created({"Image": "Bad Name"}),
        created({"Image": "busybox:1"}, "?name=-bad"),
        created({"Image": "busybox:1", "HostConfig": {"Memory": 1}}),
        created({"Image": "busybox:1", "HostConfig": {"RestartPolicy": {"Name": "x"}}}),
        created({"Image": "busybox:1", "HostConfig": {"Binds": ["a"]}}),
        created({"Image": "busybox:1", "WorkingDir": "relative"}),
        created({"Image": "busybox:1", "Env": ["=x"]}),
        created({"Image": "busybox:1", "StopSignal": "NONE"}),
        created({"Image": "busybox:1", "WorkingDir": "/etc/passwd"}),
        created({"Image": "busybox:1", "HostConfig": {"OomScoreAdj": -1001}}),
        *(
            created({"Image": "busybox:1", "HostConfig": {"SecurityOpt": [text]}})
            for text in ("nonsense", "nonsense=x", "seccomp", "no-new-privileges=x")
        ),
    ],
    "create refuses settings": [
        create("aa", Env=["a", "=b"]),
        create("aa", StopSignal="NOPE"),
        create("aa", Healthcheck={"Test": ["CMD", "x"], "Interval": 1}),
        create("aa", Healthcheck={"Test": ["CMD", "x"], "Timeout": 1}),
        create("aa", Healthcheck={"Test": ["CMD", "x"], "Retries": -1}),
        *(
            create("aa", "true", host=host)
            for host in (
                {"CapAdd": ["NOPE"]},
                {"CapDrop": ["nope"]},
                {"CgroupnsMode": "nope"},
                {"ExtraHosts": ["a"]},
                {"ExtraHosts": ["a:b"]},
                {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
            )
        ),
    ],
    "create with a working directory": [
        create("aa", "pwd", WorkingDir="/new/./dir//"),
        get("aa", "changes"),
        post("aa", "start"),
        post("aa", "wait"),
        get("aa", "logs", stdout=1),
        get("aa", "changes"),
        create("bb", "pwd", WorkingDir="/tmp/../etc"),
        get("bb", "changes"),
    ],
    "exit statuses": [
        *run("aa", "true"),
        *run("bb", "false"),
        *run("cc", *SHELL, "exit 42"),
        *run("dd", *SHELL, "kill -TERM 1; exit 3"),
        post("aa", "start"),
        post("aa", "wait"),
        listed(all=1),
    ],
    "start refuses": [
        create("aa", "none"),
        post("aa", "start"),
        create("bb", "/etc/passwd"),
        post("bb", "start"),
        create("cc", "/bin"),
        post("cc", "start"),
        create("dd", "true", User="none"),
        post("dd", "start"),
        create("ee", "true", User="none:nogroup"),
        post("ee", "start"),
        create("ff", "true", host={"Tmpfs": {"/tmp": "1m"}}),
        post("ff", "start"),
        create("gg", "true", host={"Tmpfs": {"/tmp": "size=1m,none=2"}}),
        post("gg", "start"),
        create("hh", "true", host={"Devices": [{"PathOnHost": "/none"}]}),
        post("hh", "start"),
        create("ii", "true", host={"Sysctls": {"kernel.none": "1"}}),
        post("ii", "start"),
        create("jj", "true", host={"Binds": ["/etc:/etc/passwd"]}),
        post("jj", "start"),
        create("kk", "true", host={"NetworkMode": "container:none"}),
        post("kk", "start"),
        create("ll", ""),
        post("ll", "start"),
        listed(all=1),
        post("none", "start"),
    ],
    "start refuses modes": [create("aa", "true", host={"IpcMode": "nope"}), post("aa", "start")],
    "start with a body": [
        create("aa", "true"),
        Ask("POST", "/containers/aa/start", b'{"Memory": 12345}', JSON),
        Ask("POST", "/containers/aa/start", b"{}", JSON),
        post("aa", "wait"),
    ],
    "running": [
        create("aa", *FOREVER),
        post("aa", "start"),
        post("aa", "start"),
        listed(),
        delete("aa"),
        post("aa", "pause"),
        post("aa", "pause"),
        listed(),
        post("aa", "unpause"),
        post("aa", "kill", signal="NONE"),
        post("aa", "kill"),
        post("aa", "wait"),
        post("aa", "kill"),
        post("aa", "pause"),
        post("aa", "stop"),
        delete("aa"),
        delete("aa"),
    ],
    "stop": [
        # The first process of a container is deaf to signals that it does not handle; but the
        # runtime is not, which it still is for a moment after the start: `top` shows what it is.
        create("aa", *FOREVER),
        post("aa", "start"),
        get("aa", "top"),
        post("aa", "stop", t=0),
        post("aa", "wait"),
        post("aa", "stop"),
        post("aa", "restart", t=0),
        get("aa", "top"),
        post("aa", "restart", t=1),
        get("aa", "top"),
        post("aa", "stop", t=1),
        create("bb", *FOREVER, StopSignal="SIGKILL"),
        post("bb", "restart"),
        post("bb", "stop"),
        post("bb", "wait"),
        post("none", "stop"),
        post("none", "restart"),
    ],
    "rename": [
        create("aa"),
        create("bb"),
        post("aa", "rename", name="bb"),
        post("aa", "rename", name=""),
        post("aa", "rename", name="-"),
        post("aa", "rename", name="aa"),
        post("aa", "rename", name="cc"),
        listed(all=1),
        post("none", "rename", name="dd"),
    ],
    "filters": [
        create("aa", "true", Labels={"x": "1", "y": "2"}),
        *run("bb", "false", Labels={"x": "2"}),
        create("cc", *FOREVER),
        post("cc", "start"),
        where(status="created"),
        where(status=["created", "exited"]),
        where(status="running"),
        where(label="x"),
        where(label="x=1"),
        where(label=["x", "y=2"]),
        where(name="aa"),
        where(name="^/bb$"),
        where(name="^(aa|cc)$"),
        where(name="[[:lower:]]{2}"),
        where(name=r"\Ab{2}\z"),
        where(name="(?i)AA"),
        where(name="a("),
        where(name="a(?=a)"),
        where(name="(a*)*$"),
        where(exited="1"),
        where(exited="0"),
        where(ancestor="busybox:1"),
        where(ancestor="none"),
        where(before="bb"),
        where(since="bb"),
        where(since="aa", status="running"),
        where(network="none"),
        where(network="bridge"),
        where(volume="/x"),
        where(health="none"),
        where(isolation="x"),
        where(id="0123456789abcdef"),
        listed(filters={"name": ["cc"]}),
    ],
    "filters refuse": [
        where(status="x"),
        where(nonsense="x"),
        where(exited="x"),
        where(exited="1_0"),
        where(before="none"),
        where(since="none"),
        where(health="x"),
        Ask("GET", "/containers/json?filters=x"),
    ],
    "prune": [
        create("aa", "true", Labels={"x": "1"}),
        *run("bb", *SHELL, "echo 12345 > /file"),
        create("cc", *FOREVER),
        post("cc", "start"),
        Ask("POST", f"/containers/prune{filtered(label='none')}"),
        Ask("POST", f"/containers/prune{filtered(until='1h')}"),
        Ask("POST", f"/containers/prune{filtered(not_label='x')}"),
        Ask("POST", "/containers/prune"),
        Ask("POST", "/containers/prune"),
        Ask("POST", f"/containers/prune{filtered(nonsense='x')}"),
        listed(all=1),
    ],
    "logs": [
        *run("aa", *SHELL, "echo one; echo two; echo three"),
        get("aa", "logs", stdout=1),
        get("aa", "logs", stdout=1, stderr=1, tail=2),
        get("aa", "logs", stdout=1, tail=0),
        get("aa", "logs", stdout=1, tail="all"),
        get("aa", "logs", stdout=1, tail="x"),
        get("aa", "logs", stderr=1),
        get("aa", "logs", stdout=1, follow=1),
        get("aa", "logs", stdout=1, since=9_999_999_999),
        get("aa", "logs", stdout=1, until=1),
        get("aa", "logs", stdout=1, since="x"),
        get("aa", "logs"),
        get("none", "logs", stdout=1),
        *run("bb", *SHELL, "echo one; echo two", Tty=True),
        get("bb", "logs", stdout=1, stderr=1),
        *run("cc", *SHELL, "printf 'no end'; printf 'err' >&2"),
        get("cc", "logs", stderr=1),
        get("cc", "logs", stdout=1),
        create("dd", "true"),
        get("dd", "logs", stdout=1, stderr=1),
    ],
    "top": [
        create("aa", *FOREVER),
        get("aa", "top"),
        post("aa", "start"),
        get("aa", "top"),
        Ask("GET", "/containers/aa/top?ps_args=-o%20pid,args,user"),
        Ask("GET", "/containers/aa/top?ps_args=--none"),
        Ask("GET", "/containers/aa/top?ps_args=-o%20args"),
        get("none", "top"),
    ],
    "changes": [
        create("aa", *SHELL, "touch /new; rm /etc/group; echo x >> /etc/passwd; mkdir -p /d/e"),
        get("aa", "changes"),
        post("aa", "start"),
        post("aa", "wait"),
        get("aa", "changes"),
        *run("bb", *SHELL, "rm -r /root; mkdir /root; chmod 700 /tmp; mv /bin/ls /tmp/ls"),
        get("bb", "changes"),
        get("none", "changes"),
    ],
    "files": [
        create("aa", "cat", "/tmp/file"),
        get("aa", "archive"),
        get("aa", "archive", path=""),
        get("aa", "archive", path="/none"),
        get("none", "archive", path="/"),
        Ask("HEAD", "/containers/aa/archive?path=/etc/passwd"),
        Ask("HEAD", "/containers/aa/archive?path=/none"),
        Ask("HEAD", "/containers/aa/archive"),
        put("aa", "/tmp", file("file", "hello\n")),
        put("aa", "/none", file("file", "hello\n")),
        put("aa", "/etc/passwd", file("file", "hello\n")),
        put("aa", "/", directory("tmp/file"), noOverwriteDirNonDir=1),
        put("aa", "/", file("tmp", "x"), noOverwriteDirNonDir=1),
        put("aa", "/", symlink("link", "/etc")),
        put("aa", "/link", file("through", "x")),
        put("none", "/", file("file", "x")),
        Ask("PUT", "/containers/aa/archive?path=/", b"not a tar" * 200, TAR),
        Ask("PUT", "/containers/aa/archive", b"", TAR),
        get("aa", "changes"),
        post("aa", "start"),
        post("aa", "wait"),
        get("aa", "logs", stdout=1),
        Ask("HEAD", "/containers/aa/archive?path=/link"),
        Ask("HEAD", "/containers/aa/archive?path=/link/"),
    ],
    "exec": [
        create("aa", *FOREVER),
        Ask("POST", "/containers/aa/exec", b'{"Cmd":["true"]}', JSON),
        post("aa", "start"),
        Ask("POST", "/containers/aa/exec", b'{"Cmd":[]}', JSON),
        Ask("POST", "/containers/aa/exec", b'{"Cmd":["true"],"AttachStdout":true}', JSON),
        Ask("POST", "/containers/none/exec", b'{"Cmd":["true"]}', JSON),
        post("aa", "pause"),
        Ask("POST", "/containers/aa/exec", b'{"Cmd":["true"]}', JSON),
        Ask("GET", "/exec/none/json"),
        Ask("POST", "/exec/none/start", b"{}", JSON),
        Ask("POST", "/exec/none/resize?h=1&w=1"),
    ],
    "wait": [
        create("aa", "true"),
        post("none", "wait"),
        post("aa", "wait"),
        post("aa", "start"),
        post("aa", "wait", condition="not-running"),
    ],
    "bad numbers": [
        create("aa", "true"),
        post("aa", "resize", h="x", w=1),
        post("aa", "resize", h=1, w="x"),
        post("aa", "stop", t="x"),
        post("aa", "restart", t="x"),
        listed(limit="x"),
    ],
    "update": [
        create("aa", *FOREVER),
        create("bb", *FOREVER, host={"Memory": 64 << 20}),
        post("aa", "start"),
        update("aa", Memory=64 << 20),
        update("aa", Memory=64 << 20, MemorySwap=128 << 20),
        update("bb", Memory=100 << 20),
        update("bb", Memory=200 << 20),
        update("bb", Memory=1),
        update("bb", MemoryReservation=1),
        update("bb", CpuShares=512, CpusetCpus="0"),
        update("bb", CpuPeriod=100),
        update("bb", CpuQuota=100),
        update("bb", NanoCpus=1_000_000_000, CpuQuota=5000),
        update("bb", NanoCpus=1_000_000_000, CpuPeriod=5000),
        update("bb", NanoCpus=10**15),
        update("bb", NanoCpus=-1),
        update("bb", NanoCpus=10**9),
        update("bb", RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3}),
        update("bb", RestartPolicy={"Name": "nonsense"}),
        update("bb"),
        update("none", Memory=64 << 20),
        get("bb", "json"),
    ],
    "update alone": [
        create("aa", host={"Memory": 64 << 20, "AutoRemove": True}),
        update("aa", MemoryReservation=100 << 20),
        update("aa", MemorySwap=32 << 20),
        update("aa", RestartPolicy={"Name": "always"}),
        update("aa", RestartPolicy={"Name": "no"}),
        create("bb"),
        update("bb", MemorySwap=32 << 20),
        get("aa", "json"),
        get("bb", "json"),
    ],
    "block IO weights": [
        create("aa", "true", host={"BlkioWeight": 5}),
        create("bb", "true", host={"BlkioWeight": 100}),
        update("bb", BlkioWeight=200),
        post("bb", "start"),
        post("bb", "wait"),
    ],
    "exposed ports": [
        create("aa", *FOREVER, ExposedPorts={"²/tcp": {}, "9" * 5000: {}, "80/tcp": {}}),
        post("aa", "start"),
        listed(),
        get("aa", "json"),
    ],
    "without an image": [
        created({"Image": "", "Cmd": ["x"], "HostConfig": {"NetworkMode": "none"}}, "?name=aa"),
        created({"Cmd": ["x"], "HostConfig": {"NetworkMode": "none"}}, "?name=bb"),
        get("aa", "changes"),
        post("aa", "start"),
        commit("aa", repo="empty", tag="1"),
        Ask("GET", "/images/empty:1/history"),
        created({"Image": "", "HostConfig": {"Memory": 1}, "Cmd": ["x"]}),
        delete("aa"),
        delete("bb"),
    ],
    "mounts that cannot be": [create("aa", "true", host=host) for host in BAD_MOUNTS],
    "mounts that can be": [
        create("aa", "true", host={"Binds": ["/etc:/t:", "/usr:/u:z"], "Tmpfs": {"/v": ""}}),
        create(
            "bb",
            *SHELL,
            "mount | grep -c ' /t '",
            host={
                "Tmpfs": {"/t": ""},
                "Mounts": [{"Type": "tmpfs", "Target": "/t"}],
            },
        ),
    ],
    "resources": [
        *(
            create("aa", host=resources)
            for resources in (
                {"Memory": -1},
                {"MemoryReservation": 1},
                {"MemorySwap": 5},
                {"MemorySwappiness": 101},
                {"CpuPeriod": 100},
                {"CpuPeriod": -5},
                {"CpuQuota": 100},
                {"CpusetCpus": "99"},
                {"CpusetCpus": "x"},
                {"CpusetMems": "9"},
                {"CpusetMems": "0,"},
                {"NanoCpus": -1},
                {"OomScoreAdj": 2000},
            )
        ),
        listed(all=1),
    ],
    "networks": [
        Ask("GET", "/networks/none"),
        Ask("GET", "/networks/nothing"),
        Ask("DELETE", "/networks/none"),
        Ask("DELETE", "/networks/nothing"),
        Ask("POST", "/networks/prune"),
    ],
    "volumes": [
        create("aa", *SHELL, "echo x > /data/file", Volumes={"/data": {}}),
        post("aa", "start"),
        post("aa", "wait"),
        get("aa", "changes"),
        delete("aa", v=1),
    ],
    "volumes of others": [
        create("aa", "true", host={"Binds": ["/vol"]}),
        create("bb", "true", host={"VolumesFrom": ["aa"]}),
        create("cc", "true", host={"VolumesFrom": ["aa:ro"]}),
        create("dd", "true", host={"Mounts": [{"Type": "volume", "Target": "/vol"}]}),
        create("ee", "true", host={"VolumesFrom": ["aa"], "Binds": ["/usr:/vol:ro"]}),
        create("ff", "true", host={"VolumesFrom": ["ee"]}),
    ],
    "images in use": [
        create("aa", "true"),
        Ask("DELETE", "/images/busybox:1"),
        Ask("DELETE", "/images/busybox:1?force=1"),
        listed(all=1),
        Ask("POST", f"/images/prune{filtered(dangling='false')}"),
        delete("aa"),
        Ask("POST", f"/images/prune{filtered(dangling='true')}"),
    ],
    "images in running use": [
        create("aa", *FOREVER),
        post("aa", "start"),
        Ask("DELETE", "/images/busybox:1"),
        Ask("DELETE", "/images/busybox:1?force=1"),
    ],
    "commit": [
        *run("aa", *SHELL, "echo x > /file; rm /etc/group", Labels={"a": "1"}, Env=["A=1"]),
        commit("aa", repo="c", tag="1", comment="why", author="who"),
        Ask("GET", "/images/c:1/json"),
        Ask("GET", "/images/c:1/history"),
        commit("aa", repo="c", tag="2", changes=["ENV B=2", "CMD true\nLABEL b=2"]),
        Ask("GET", "/images/c:2/json"),
        commit("aa", {"Cmd": ["false"], "Labels": {"c": "3"}, "Env": ["A=2"]}, repo="c", tag="3"),
        Ask("GET", "/images/c:3/json"),
        commit("aa", {"Entrypoint": ["ls"], "ExposedPorts": {"80/tcp": {}}}, repo="c", tag="4"),
        Ask("GET", "/images/c:4/json"),
        commit("aa"),
        commit("aa", repo="Bad"),
        commit("aa", repo="c", tag="bad tag"),
        commit("aa", changes="NONSENSE x"),
        commit("aa", changes="ENV"),
        commit("none"),
        Ask("POST", "/commit"),
        commit("aa", [1]),
        create("bb", *FOREVER),
        post("bb", "start"),
        commit("bb", repo="c", tag="5", pause=0),
        commit("bb", repo="c", tag="6"),
        Ask("GET", "/images/c:6/json"),
    ],
}
