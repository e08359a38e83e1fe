"""Builds, through the same interface on three backends: streams, histories and configurations."""

from typing import Any

import pytest

from lamina.models import Ulimit
from tests.conformance.builds import built, told_steps, with_busybox
from tests.conformance.engines import Backend, EngineApi

EVERY_SETTING = r"""
ARG BASE=busybox
FROM ${BASE}
ENV A=1 B="x y"
env e="a  b" f=
LABEL l="${A} v" m='s'
CMD echo $A
CMD [ "x",  "y\"z", "é" ]
ENTRYPOINT ["e"]
ENTRYPOINT sh \
   y
EXPOSE 80 53/udp 90-92
VOLUME /data /b
VOLUME ["/a b"]
ARG q=5
ARG r
USER nobody:${q}
SHELL ["/bin/ash", "-c"]
STOPSIGNAL 9
HEALTHCHECK --interval=5s --retries=3 CMD true
HEALTHCHECK --timeout=1m30s CMD ["a", "b c"]
HEALTHCHECK NONE
MAINTAINER me <me@example.com>
ONBUILD RUN x
CMD []
"""

COMMANDS = r"""
FROM busybox
ENTRYPOINT ["e"]
CMD ["c"]
ARG q=5
ARG r=$q
ARG s=1 t=[$s]
ARG PATH=/nowhere
RUN echo "$q $r $s $t $PATH $HTTP_PROXY" > /f; cat /f
RUN ["/bin/true"]
USER nobody
RUN id -u; pwd; printf "no end"
SHELL ["/bin/ash", "-e", "-c"]
RUN mkdir /tmp/d && \
    echo x > /tmp/d/f && \
    ln -s f /tmp/d/l && ln /tmp/d/f /tmp/d/h
RUN rm -r /tmp/d/f; ls /tmp/d
ENV after=1
"""

LIMITS = r"""
FROM busybox
RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.shares || true
RUN cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes || true
RUN cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us || true
RUN df -k /dev/shm | tail -n 1; ulimit -Sn; ulimit -Hn; tail -n 1 /etc/hosts; ls /sys/class/net
"""

CORPUS: dict[str, tuple[str, dict[str, Any]]] = {
    "every setting": (
        EVERY_SETTING,
        {
            "buildargs": {"q": "7", "null": None, "HTTP_PROXY": "p"},
            "labels": {"k": "v", "a": '"$A"'},
            "t": ["built:1", "other/built", "built:1"],
        },
    ),
    "from scratch": ("FROM scratch\nENV a=b\nENTRYPOINT []\nCMD x", {}),
    "commands": (
        COMMANDS,
        {"buildargs": {"q": "7 8", "HTTP_PROXY": "p"}},
    ),
    "a command that fails": (
        "FROM busybox\nENV a=b\nRUN echo one && exit 3",
        {},
    ),
    "a command that fails, and nothing stays": ("FROM busybox\nRUN false", {"forcerm": True}),
    "a command of nobody": ("FROM busybox\nUSER nosuch\nRUN id", {}),
    "proxies alone": ("FROM busybox\nRUN echo $http_proxy", {"buildargs": {"http_proxy": "p"}}),
    "a declared proxy": (
        "FROM busybox\nARG HTTP_PROXY\nRUN echo",
        {"buildargs": {"HTTP_PROXY": "p"}},
    ),
    "little memory": ("FROM busybox\nENV a=b\nRUN true", {"memory": 1000}),
    "CPUs that are not there": ("FROM busybox\nENV a=b\nRUN true", {"cpusetcpus": "8000"}),
    "no list of CPUs": ("FROM busybox\nENV a=b\nRUN true", {"cpusetcpus": "x"}),
    "less than no share": ("FROM busybox\nENV a=b\nRUN true", {"cpushares": -1}),
    "an empty continuation": (
        "FROM busybox\nENV a=b \\\n\n  c=d\nENV e=f\\\n \n g=h\n",
        {},
    ),
    "no ports": ("FROM busybox\nEXPOSE $nope", {}),
    "a user of a high number": ("FROM busybox\nUSER 99999999999\nRUN true", {}),
    "places of volumes": ("FROM busybox\nVOLUME /v/w x\nRUN ls -d /v/w x", {}),
    "nothing to run": ("FROM busybox\nRUN []", {}),
    "nothing to run at all": ("FROM busybox\nCMD []\nRUN []", {}),
    "files of itself": ("FROM busybox\nCOPY --from=0 a b", {}),
    "files of nobody": ("FROM busybox\nCOPY --from=1 a b", {}),
    "no such platform": ("FROM --platform=a/b/c/d busybox", {}),
    "no platform": ("FROM --platform=$nope busybox", {}),
    "a bad host": ("FROM busybox\nENV a=b", {"extrahosts": ["foo"]}),
    "limits": (
        LIMITS,
        {
            "memory": 64 << 20,
            "shmsize": 1 << 20,
            "cpushares": 512,
            "cpuquota": 50_000,
            "cpuperiod": 100_000,
            "ulimits": [Ulimit(name="nofile", soft=123, hard=456)],
            "extrahosts": ["a.b:1.2.3.4"],
            "networkmode": "none",
        },
    ),
    "nothing but a base": ("FROM busybox", {"t": ["same:1"]}),
    "nothing at all": ("FROM scratch", {}),
    "stages": (
        "FROM busybox AS one\nENV a=b\nFROM one AS Two\nENTRYPOINT y\nFROM TWO\nENV d=$c$a",
        {},
    ),
    "a target": ("FROM busybox AS one\nENV a=b\nFROM one AS two\nENV c=d", {"target": "one"}),
    "quiet": ("FROM busybox\nENV a=quiet", {"q": True}),
    "quiet and wrong": ("FROM busybox\nENV a=quiet\nENV b=${b:?no}", {"q": True}),
    "containers stay": ("FROM busybox\nENV a=stay", {"rm": False}),
    "a variable that must be": ("FROM busybox\nENV a=${b:?no}", {}),
    "no base": ("FROM ${x}", {}),
    "a bad base": ("FROM Bad", {}),
    "a bad port": ("FROM busybox\nEXPOSE x", {}),
    "no instructions": ("# nothing\n", {}),
    "empty": ("", {}),
    "no stage": ("ENV a=b", {}),
    "half an instruction": ("FROM busybox\nENV a", {}),
    "a bad platform": ("FROM busybox", {"platform": "x/y/z/w"}),
    "another Dockerfile": ("FROM busybox", {"dockerfile": "other"}),
    "a Dockerfile outside": ("FROM busybox", {"dockerfile": "../x"}),
    "a bad tag": ("FROM busybox", {"t": ["Bad:1"]}),
    "a tag with a digest": ("FROM busybox", {"t": ["a@sha256:" + "0" * 64]}),
}


@pytest.mark.parametrize("name", CORPUS)
async def test_builds(backend: Backend, name: str) -> None:
    dockerfile, parameters = CORPUS[name]

    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        return await built(api, dockerfile, parameters)

    await backend.agrees(scenario)


async def test_the_triggers_of_a_base(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        base = "FROM busybox\nONBUILD ENV o=1\nONBUILD LABEL p=$o"
        first = await built(api, base, {"t": ["base"]})
        return first, await built(api, "FROM base\nENV after=$o")

    await backend.agrees(scenario)


STEPS = """
ARG V=1
FROM busybox AS Base
ENV v=$V
RUN echo out
RUN echo why >&2
FROM base
COPY --from=base /bin/busybox /b
RUN true
"""


async def test_steps_are_told_of(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        told = [await told_steps(api, STEPS) for _ in range(2)]
        assert [len(steps) for steps in told] == [7, 7]
        return *told, await told_steps(api, f"{STEPS}RUN echo end; exit 3")

    await backend.agrees(scenario)
