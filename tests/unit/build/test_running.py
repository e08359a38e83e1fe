"""What a RUN sees: mounts, secrets, agents, networks, scripts."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from lamina.dockerfile.mounts import Sharing
from lamina.engine import Engine
from lamina.errors import Forbidden, InvalidParameter, LaminaError, NotFound
from lamina.layers.directories import remove_path
from lamina.progress import BuildOutput, BuildStep
from tests.real.images import file, hard_link, symlink
from tests.unit.build.builds import begin, build, layers, said
from tests.unit.build.conftest import load_busybox


async def printed(engine: Engine, run: str, **parameters: object) -> str:
    """What the last RUN of a Dockerfile prints."""
    files = parameters.pop("files", {})
    dockerfile = f"FROM busybox AS other\nRUN mkdir /o && echo o > /o/f\nFROM busybox\n{run}"
    operation = begin(engine, dockerfile, files, **parameters)  # type: ignore[arg-type]
    return "".join([e.text async for e in operation if isinstance(e, BuildOutput)])


async def test_a_bind_of_the_context(engine: Engine) -> None:
    files = [
        file("a", "A"),
        symlink("l", "d"),
        file("d/b", "B"),
        file("x.o", ""),
        file(".dockerignore", "*.o"),
    ]
    text = await printed(
        engine,
        "RUN --mount=target=/c cat /c/a; ls /c; touch /c/x || true\n"
        "RUN --mount=type=bind,source=l/b,target=/b cat /b\n"
        "RUN --mount=target=/c,rw echo no > /c/a; cat /c/a\n"
        "RUN --mount=target=/c cat /c/a",
        files=files,
    )
    assert text.startswith("ADockerfile\na\nd\nl\n")
    assert "Read-only file system" in text
    assert text.endswith("Bno\nA")


async def test_a_bind_of_a_stage_and_of_an_image(engine: Engine) -> None:
    text = await printed(
        engine,
        "RUN --mount=from=other,source=/o,target=/m cat /m/f\n"
        "RUN --mount=from=busybox,target=/m ls /m/bin/busybox",
    )
    assert text == "o\n/m/bin/busybox\n"


async def test_a_bind_counts_by_its_content(engine: Engine) -> None:
    run = "FROM busybox\nRUN --mount=source=d,target=/d cat /d/f"
    files = {"d/f": "1", "other": "1"}
    await build(engine, run, files)
    assert "Using cache" in await said(begin(engine, run, {**files, "other": "2"}))
    assert "Using cache" not in await said(begin(engine, run, {**files, "d/f": "2"}))


async def test_what_is_mounted_is_no_pattern(engine: Engine) -> None:
    files = {"g[1]": "G", "g1": "no"}
    assert await printed(engine, "RUN --mount=source=g[1],target=/g cat /g", files=files) == "G"
    with pytest.raises(NotFound, match='"g\\*" not found'):
        await build(engine, "FROM busybox\nRUN --mount=source=g*,target=/g cat /g", files)


async def test_nothing_of_a_mount_is_in_the_layer(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t"
        " --mount=type=secret,id=s,target=/s/x touch /c/f /t/f && cat /s/x && touch /real"
    )
    image = await build(engine, dockerfile, secrets={"s": b"1"})
    assert set((await layers(engine, image))[-1]) == {"c", "real", "s", "s/x", "t"}
    assert (await layers(engine, image))[-1]["s/x"].size == 0


async def test_a_cache(engine: Engine) -> None:
    text = await printed(
        engine,
        "RUN --mount=type=cache,id=one,target=/c,mode=0700,uid=5,gid=6 ls -ldn /c; touch /c/f\n"
        "RUN --mount=type=cache,id=one,target=/other,ro ls /other; touch /other/x || true\n"
        "RUN --mount=type=cache,target=/seeded,from=other,source=/o cat /seeded/f",
    )
    assert text.startswith("drwx------    2 5        6")
    assert "f\n" in text
    assert "Read-only" in text
    assert text.endswith("o\n")


async def test_caches_that_are_locked_take_turns(engine: Engine) -> None:
    run = (
        "RUN --mount=type=cache,id=l,sharing=locked,target=/c"
        " [ ! -e /c/busy ] && touch /c/busy && sleep 0.2 && rm /c/busy && echo {}"
    )
    stages = "\n".join(f"FROM busybox AS s{n}\n{run.format(n)}" for n in range(3))
    copies = "\n".join(f"COPY --from=s{n} /etc /e{n}" for n in range(3))
    await build(engine, f"{stages}\nFROM busybox\n{copies}")


async def test_a_cache_of_which_a_part_is_mounted_is_nobody_elses(engine: Engine) -> None:
    """Another command could lead the part to files of the host while it is being mounted."""
    mounts = "--mount=type=cache,id=l,target=/c --mount=type=cache,id=l,source=d,target=/d"
    await build(engine, "FROM busybox\nRUN --mount=type=cache,id=l,target=/c mkdir /c/d")
    run = f"RUN {mounts} [ ! -e /c/busy ] && touch /c/busy && sleep 0.2 && rm /c/busy && echo {{}}"
    stages = "\n".join(f"FROM busybox AS s{n}\n{run.format(n)}" for n in range(3))
    copies = "\n".join(f"COPY --from=s{n} /etc /e{n}" for n in range(3))
    await build(engine, f"{stages}\nFROM busybox\n{copies}")


async def test_with_another_beginning_it_is_another_cache(engine: Engine) -> None:
    text = await printed(
        engine,
        "RUN --mount=type=cache,id=x,target=/c touch /c/own\n"
        "RUN --mount=type=cache,id=x,target=/c,from=other,source=o ls /c; touch /c/added\n"
        "RUN --mount=type=cache,id=x,target=/c,from=other,source=etc ls /c/passwd\n"
        "RUN --mount=type=cache,id=x,target=/c,from=other,source=o ls /c; echo again\n"
        "RUN --mount=type=cache,id=x,target=/c ls /c; echo again",
    )
    assert text == "f\n/c/passwd\nadded\nf\nagain\nown\nagain\n"


async def test_a_cache_begins_with_all_that_is_there(engine: Engine) -> None:
    files = [file("own", "1", 0o751), symlink("l", "own"), file("h1", "1"), hard_link("h2", "h1")]
    lines = (
        await printed(
            engine,
            "COPY . /x\nFROM busybox\n"
            "RUN --mount=type=cache,from=1,source=x,target=/c cd /c; ls -l own l; ls -i h*",
            files=files,
        )
    ).splitlines()
    assert lines[0].endswith("l -> own")
    assert lines[1].startswith("-rwxr-x--x")
    assert len({line.split()[0] for line in lines[2:]}) == 1


async def test_a_cache_that_begins_with_a_deep_tree(tmp_path: Path) -> None:
    deep = "d/" * 1500
    dockerfile = (
        "FROM scratch AS deep\nCOPY . /\nFROM busybox\n"
        f"RUN --mount=type=cache,from=deep,target=/c cat /c/{deep}f"
    )
    with contextlib.ExitStack() as stack:
        # pytest cannot remove it.
        stack.callback(remove_path, tmp_path / "root")
        async with Engine.open(tmp_path / "root") as engine:
            await load_busybox(engine)
            operation = begin(engine, dockerfile, [file(f"{deep}f", "deep")])
            assert "deep" in [e.text async for e in operation if isinstance(e, BuildOutput)]


@pytest.mark.parametrize("sharing", Sharing)
async def test_a_cache_that_one_command_mounts_twice(engine: Engine, sharing: str) -> None:
    mounts = " ".join(f"--mount=type=cache,id=x,sharing={sharing},target=/{at}" for at in "ab")
    async with asyncio.timeout(20):
        assert await printed(engine, f"RUN {mounts} touch /a/f && ls /b") == "f\n"


async def test_commands_do_not_wait_for_each_other_in_a_circle(engine: Engine) -> None:
    """Each of two has one cache, and would wait for that of the other."""
    mount = "--mount=type=cache,sharing=locked,target=/{0},id={0}"
    stages = [
        f"FROM busybox AS s{n}\nRUN {' '.join(mount.format(name) for name in names)} echo {n}"
        for n, names in enumerate(("abcd", "dcba", "bdac", "cadb"))
    ]
    copies = [f"COPY --from=s{n} /etc /e{n}" for n in range(len(stages))]
    async with asyncio.timeout(20):
        await build(engine, "\n".join([*stages, "FROM busybox", *copies]))


async def test_secrets(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"of a file")
    text = await printed(
        engine,
        "RUN --mount=type=secret,id=a cat /run/secrets/a; ls -ln /run/secrets/a\n"
        "RUN --mount=type=secret,id=b,target=/b,mode=0444,uid=7 cat /b; ls -ln /b\n"
        'RUN --mount=type=secret,id=a,env=A echo "[$A]"; ls /run/secrets\n'
        "RUN --mount=type=secret,id=none ls /run/secrets",
        secrets={"a": b"bytes", "b": path},
    )
    assert text.startswith("bytes-r--------    1 0        0")
    assert "of a file-r--r--r--    1 7        0" in text
    assert "[bytes]" in text


async def test_a_secret_that_is_waited_for(engine: Engine, tmp_path: Path) -> None:
    """It may come from a pipe: all else goes on until it does, and it is there for every RUN."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = "RUN --mount=type=secret,id=a cat /run/secrets/a"
    dockerfile = f"FROM busybox AS one\n{run}\n{run} -\nFROM busybox\n{run};\nCOPY --from=one / /"
    build = asyncio.create_task(said(begin(engine, dockerfile, secrets={"a": pipe})))
    writer = -1
    while writer < 0:
        await asyncio.sleep(0)
        # Not before somebody waits for it.
        with contextlib.suppress(OSError):
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"what was waited for")
    os.close(writer)
    async with asyncio.timeout(20):
        assert (await build).count("what was waited for") == 3


async def test_a_secret_that_never_comes(engine: Engine, tmp_path: Path) -> None:
    """Whoever waits for it can give it up."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    dockerfile = "FROM busybox\nRUN --mount=type=secret,id=a true"
    operation = begin(engine, dockerfile, secrets={"a": pipe})
    async with asyncio.timeout(20), contextlib.aclosing(aiter(operation)) as events:
        async for event in events:
            if isinstance(event, BuildStep) and event.number == 2:
                break


async def test_secrets_that_must_be(engine: Engine) -> None:
    with pytest.raises(NotFound, match="secret x: not found"):
        await build(engine, "FROM busybox\nRUN --mount=type=secret,id=x,required true")


async def test_an_agent(engine: Engine, tmp_path: Path) -> None:
    text = await printed(
        engine,
        "RUN --mount=type=ssh echo $SSH_AUTH_SOCK; [ -S $SSH_AUTH_SOCK ] && echo there\n"
        "RUN --mount=type=ssh,id=none echo [$SSH_AUTH_SOCK]",
        ssh={"default": tmp_path / "agent"},
    )
    assert text == "/run/buildkit/ssh_agent.0\nthere\n[]\n"


async def test_an_agent_of_an_engine_whose_root_is_far_down(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 100) / "root"
    root.parent.mkdir()
    async with Engine.open(root) as engine:
        await load_busybox(engine)
        run = "RUN --mount=type=ssh [ -S $SSH_AUTH_SOCK ] && echo there"
        assert await printed(engine, run, ssh={"default": tmp_path / "agent"}) == "there\n"


async def test_heredocs(engine: Engine) -> None:
    text = await printed(
        engine,
        "ARG who=me\nRUN <<EOF\necho $who\nexit 0\nEOF\n"
        "RUN cat <<A <<-'B'\n1\nA\n\t$who\nB\n"
        "RUN <<EOF\n#!/bin/busybox cat\nscript\nEOF\n",
    )
    assert text == "me\n$who\n#!/bin/busybox cat\nscript\n"


async def test_networks(engine: Engine) -> None:
    text = await printed(
        engine,
        "RUN --network=none ls /sys/class/net\nRUN --network=host cat /proc/net/dev | wc -l",
        networkmode="none",
    )
    first, second = text.splitlines()
    assert first == "lo"
    assert int(second) >= 3


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        ("RUN --security=insecure true", Forbidden, "security.insecure is not allowed"),
        ("RUN --device=x true", InvalidParameter, "--device option is not supported"),
        ("RUN --mount=type=bind,source=nope,target=/x true", NotFound, '"nope" not found'),
        ("RUN --mount=type=cache true", InvalidParameter, "cache mount requires a target"),
        ("RUN --mount=type=tmpfs,target=/ true", InvalidParameter, "invalid mount target"),
        ("RUN --mount=type=cache,source=nope,target=/x true", NotFound, '"nope" not found'),
        ("RUN --mount=type=cache,source=a\0b,target=/x true", NotFound, "not found"),
        ("RUN --mount=type=ssh,required true", NotFound, "no SSH key 'default'"),
        ("RUN --mount=from=nope.invalid/x,target=/x true", LaminaError, "nope.invalid"),
    ],
)
async def test_mistakes(engine: Engine, run: str, error: type[LaminaError], message: str) -> None:
    with pytest.raises(error, match=message.replace("[", r"\[")):
        await build(engine, f"FROM busybox\n{run}")


async def test_networks_that_are_not_there(engine: Engine) -> None:
    for mode in ("nosuch", "container:nosuch"):
        with pytest.raises(NotFound):
            await build(engine, "FROM busybox\nRUN true", networkmode=mode)


async def test_a_network_without_a_way_out_is_told_of(tmp_path: Path) -> None:
    # Without root there is no bridge of CNI plugins.
    rootless = {"snapshot_driver": "overlay-userns", "network_driver": "cni"}
    async with Engine.open(tmp_path / "root", **rootless) as engine:  # type: ignore[arg-type]
        await load_busybox(engine)
        text = await said(begin(engine, "FROM busybox\nRUN ip link"))
        assert " ---> [Warning] There is no cni here" in text
        assert "install slirp4netns" in text
        assert "eth0" not in text
        text = await said(begin(engine, "FROM busybox\nRUN --network=none ip link"))
        assert "Warning" not in text
        (warning,) = (await engine.system_info()).warnings or [""]
        assert "Install slirp4netns" in warning
