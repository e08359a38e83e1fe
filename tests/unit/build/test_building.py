"""Whole builds in this process: what the classic builder has not, and what is left behind."""

import asyncio
import contextlib
import io
import sys
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import CommandFailed, InvalidParameter, LaminaError, NotFound
from lamina.progress import BuildOutput, BuildStep, BuildWarning, StreamText
from tests.real.checkout import SOURCE, environment
from tests.real.images import file, symlink, tar_of
from tests.unit.build.as_nobody import image_of
from tests.unit.build.builds import begin, build, layers, said, steps
from tests.unit.build.conftest import load_busybox
from tests.unit.engine.root_files import look_at

WORK = """FROM busybox AS one
WORKDIR /w
COPY a b/
RUN echo x > run && mkdir d && ln run hard
FROM busybox
COPY --from=one /w /w
LABEL a=b
"""


async def test_stages_that_nothing_needs_are_left_out(engine: Engine) -> None:
    text = await said(
        begin(engine, "FROM busybox AS a\nRUN false\nFROM nosuch/x AS b\nFROM busybox\nENV a=b")
    )
    assert text.startswith("Step 1/2 : FROM busybox\n")
    assert "Successfully built" in text


async def test_what_is_said_keeps_the_order_of_the_file(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox AS slow\nRUN sleep 0.5; echo slow\nFROM busybox AS fast\nRUN echo fast\n"
        "FROM busybox\nCOPY --from=slow /etc /a\nCOPY --from=fast /etc /b"
    )
    text = await said(begin(engine, dockerfile))
    numbers = [line.split()[1] for line in text.splitlines() if line.startswith("Step")]
    assert numbers == [f"{number}/7" for number in range(1, 8)]
    assert text.index("slow\n ") < text.index("fast\n ")


async def test_steps_are_told_of_at_once(engine: Engine) -> None:
    dockerfile = "FROM busybox AS a\nENV x=1\nFROM a\nRUN true"
    told = await steps(begin(engine, dockerfile))
    assert [(one.id, one.state) for one in told if one.stage == "a"] == [
        ("a 1", "started"),
        ("a 1", "completed"),
        ("a 2", "started"),
        ("a 2", "completed"),
    ]
    started = [(one.number, one.total) for one in told if one.state == "started"]
    assert sorted(started) == [(number, 4) for number in (1, 2, 3, 4)]
    again = await steps(begin(engine, dockerfile))
    assert [one.state for one in again if one.text == "RUN true"] == ["started", "cached"]


async def test_the_same_twice_is_the_same_image(engine: Engine, tmp_path: Path) -> None:
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    first = await build(engine, WORK, {"a": "A"}, buildargs=epoch)
    assert await build(engine, WORK, {"a": "A"}, buildargs=epoch, nocache=True) == first
    async with Engine.open(tmp_path / "other") as other:
        await load_busybox(other)
        assert await build(other, WORK, {"a": "A"}, buildargs=epoch) == first
    image = await engine.image_inspect(first)
    assert image.created == "2023-11-14T22:13:20Z"
    times = [entry.mtime for one in await layers(engine, first) for entry in one.values()]
    assert max(times) == 1_700_000_000


async def test_the_same_image_whoever_builds_it(tmp_path: Path) -> None:
    here = SOURCE.parent
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.build.as_nobody"),
        cwd=here,
        env=environment(here),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert printed.decode() == await image_of(tmp_path / "root")


@pytest.mark.parametrize("epoch", ["x", "-1", "1e9", "9" * 13])
async def test_a_time_that_is_none(engine: Engine, epoch: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid SOURCE_DATE_EPOCH"):
        await build(engine, "FROM busybox", buildargs={"SOURCE_DATE_EPOCH": epoch})


async def test_steps_are_found_again_after_a_restart(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        async with Engine.open(tmp_path / "root") as engine:
            await load_busybox(engine)
            ids.append(await build(engine, WORK, {"a": "A"}))
    assert ids[0] == ids[1]


async def test_steps_of_a_failed_build_are_not_taken_once_deleted(engine: Engine) -> None:
    dockerfile = "FROM busybox AS one\nENV a=b\nFROM one\nENV c=d"
    with pytest.raises(CommandFailed) as failed:
        await build(engine, "FROM busybox\nENV a=b\nRUN exit 3")
    for image in await engine.image_list(all=True):
        if not image.repo_tags:
            await engine.image_delete(image.id, force=True)
    # What the failed build held is still alive, in the frames of its error.
    assert failed.tb is not None
    assert await build(engine, dockerfile)


async def test_builds_at_one_time_share_their_steps(engine: Engine) -> None:
    dockerfile = "FROM busybox\nENV a=b\nRUN head -c 8 /dev/urandom > /x\nCOPY a /\nLABEL c=d"
    ids = await asyncio.gather(*(build(engine, dockerfile, {"a": "A"}) for _ in range(4)))
    assert len(set(ids)) == 1


async def test_a_step_whose_build_was_cancelled_is_made_by_another(engine: Engine) -> None:
    # It ends only where the secret lets it.
    dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s echo on; sleep $(cat /run/secrets/s)"
    first = begin(engine, dockerfile, secrets={"s": b"1000"})
    async with contextlib.aclosing(aiter(first)) as events:
        async for event in events:
            if isinstance(event, BuildOutput):
                break
        second = begin(engine, dockerfile, secrets={"s": b"0"})
        others = contextlib.aclosing(aiter(second))
        async with others as told:
            async for event in told:
                if isinstance(event, BuildStep) and event.text.startswith("RUN"):
                    break
            # Now the second one waits for the first.
            await events.aclose()
            texts = [event.text async for event in told if isinstance(event, StreamText)]
    assert "on\n" in texts
    assert texts[-1].startswith("Successfully built")


async def test_a_cancelled_build_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    operation = begin(
        engine,
        "FROM busybox AS a\nCOPY a /\nRUN echo running; sleep 1000\nFROM a\nRUN true",
        {"a": "A"},
    )
    async with contextlib.aclosing(aiter(operation)) as events:
        async for event in events:
            if isinstance(event, BuildOutput):
                break
    look_at(tmp_path / "root").check_tidy()
    run = tmp_path / "root" / "run"
    assert list(run.glob("*/bundles/*")) == []
    assert list((tmp_path / "root" / "snapshots").glob("*/snapshots/*")) == []
    assert list((tmp_path / "root" / "build").iterdir()) == []
    # What was made before is there for the next one.
    text = await said(begin(engine, "FROM busybox\nCOPY a /", {"a": "A"}))
    assert "Using cache" in text


async def test_the_base_of_a_command_that_fails_may_be_gone(engine: Engine, tmp_path: Path) -> None:
    """Its container cannot be kept then; what is told of is the command."""
    mount = "--mount=type=cache,id=x,target=/x"
    wait = "echo on; while [ ! -e /x/deleted ]; do sleep 0.01; done; exit 3"
    operation = begin(engine, f"FROM busybox\nRUN {mount} {wait}")

    async def listen() -> None:
        async for event in operation:
            if isinstance(event, BuildOutput):
                await engine.image_delete("busybox", force=True)
                [cache] = (tmp_path / "root" / "build" / "mounts").glob("*/data")
                (cache / "deleted").touch()

    with pytest.raises(CommandFailed) as caught:
        await listen()
    assert caught.value.code == 3
    assert await engine.container_list(all=True) == []
    assert list((tmp_path / "root" / "snapshots").glob("*/snapshots/*")) == []


async def test_caches_that_cannot_be_removed_are_no_failure(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with Engine.open(root, build_cache_limit=0) as engine:
        await load_busybox(engine)
        (root / "build" / "mounts").touch()
        await build(engine, "FROM busybox\nENV a=b")
        with pytest.raises(CommandFailed):
            await build(engine, "FROM busybox\nRUN false")


async def test_a_failed_build_keeps_its_steps(engine: Engine, tmp_path: Path) -> None:
    dockerfile = "FROM busybox\nENV a=b\nRUN false"
    with pytest.raises(CommandFailed) as caught:
        await build(engine, dockerfile)
    assert caught.value.code == 1
    look_at(tmp_path / "root").check_tidy()
    assert "Using cache" in await said(begin(engine, "FROM busybox\nENV a=b"))


async def test_ignored_files_are_not_there(engine: Engine) -> None:
    files = {
        "a": "",
        "b.txt": "",
        "d/c.txt": "",
        ".dockerignore": "*.txt\nDockerfile\n.dockerignore",
    }
    image = await build(engine, "FROM busybox\nCOPY . /x", files)
    assert set((await layers(engine, image))[-1]) == {"x", "x/a", "x/d", "x/d/c.txt"}
    other = {**files, "Dockerfile.dockerignore": "d"}
    image = await build(engine, "FROM busybox\nCOPY . /x", other)
    assert "x/d" not in (await layers(engine, image))[-1]
    with pytest.raises(LaminaError, match=r"excluded by \.dockerignore"):
        await build(engine, "FROM busybox\nCOPY b.txt /x", files)


async def test_an_ignore_file_may_be_a_link(engine: Engine) -> None:
    files = (file("ignored", "*.txt"), symlink(".dockerignore", "ignored"), file("b.txt", "1"))
    image = await build(engine, "FROM busybox\nCOPY . /x/\n", files)
    assert set((await layers(engine, image))[-1]) == {
        *("x", "x/.dockerignore", "x/ignored", "x/Dockerfile"),
    }


async def test_flags_of_copy_that_buildkit_has(engine: Engine) -> None:
    dockerfile = """FROM busybox
COPY --chmod=751 --chown=1 a /m
COPY --chmod=u=rwX,go=rX d /n
COPY --exclude=*.txt d /e
COPY --parents d/./x/y.txt d/z /p/
COPY --link a /bin/linked/
COPY <<one <<-"two" /h/
a $USER-$v
one
	b $v
	two
"""
    files = {"a": "A", "d/x/y.txt": "Y", "d/z": "Z"}
    found = await layers(engine, await build(engine, "ARG v\n" + dockerfile, files))
    mode, symbolic, exclude, parents, link, heredoc = found[-6:]
    assert (mode["m"].mode, mode["m"].uid, mode["m"].gid) == (0o751, 1, 1)
    assert {name: entry.mode for name, entry in symbolic.items()} == {
        "n": 0o755,
        "n/x": 0o755,
        "n/x/y.txt": 0o644,
        "n/z": 0o644,
    }
    assert set(exclude) == {"e", "e/x", "e/x/y.txt", "e/z"}
    assert set(parents) == {"p", "p/x", "p/x/y.txt", "p/d", "p/d/z"}
    assert set(link) == {"bin", "bin/linked", "bin/linked/a"}
    assert set(heredoc) == {"h", "h/one", "h/two"}


PARENTS = {
    "COPY --parents d/x/y.txt /p/": {"p", "p/d", "p/d/x", "p/d/x/y.txt"},
    "COPY --parents d/./x/y.txt /p/": {"p", "p/x", "p/x/y.txt"},
    "COPY --parents ./d/x d/z /p": {"p", "p/d", "p/d/x", "p/d/x/y.txt", "p/d/z"},
    "COPY --parents */x/* /p/": {"p", "p/d", "p/d/x", "p/d/x/y.txt", "p/e", "p/e/x", "p/e/x/y.txt"},
    "COPY --parents */./x/* /p/": {"p", "p/x", "p/x/y.txt"},
    "COPY --parents d/x/./ /p/": {"p", "p/y.txt"},
    "COPY --parents d/x/./../z /p/": {"p", "p/z"},
    "COPY --parents --exclude=d/x . /p/": {
        "p",
        "p/a",
        "p/d",
        "p/d/z",
        "p/e",
        "p/e/x",
        "p/e/x/y.txt",
    },
}

EXCLUDED = {
    "COPY --exclude=*.txt d /q/": {"q", "q/x", "q/x/y.txt", "q/z"},
    "COPY --exclude=**/*.txt d /q/": {"q", "q/x", "q/z"},
    "COPY --exclude=x d /q/": {"q", "q/z"},
    "COPY --exclude=x --exclude=!x/y.txt d /q/": {"q", "q/x", "q/x/y.txt", "q/z"},
    "COPY --exclude=*.txt d/x/* d/z /q/": {"q", "q/z"},
    "ADD --exclude=x d /q/": {"q", "q/z"},
}


async def test_which_files_flags_mean(engine: Engine) -> None:
    files = {"a": "A", "d/x/y.txt": "Y", "d/z": "Z", "e/x/y.txt": "E"}
    for step, expected in {**PARENTS, **EXCLUDED}.items():
        found = await layers(engine, await build(engine, f"FROM busybox\n{step}\n", files))
        assert set(found[-1]) - {"p/Dockerfile"} == expected, step


async def test_squash(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox\nRUN mkdir /a && echo 1 > /a/b && rm -r /tmp /bin/wc\n"
        "RUN rm -r /root && mkdir /root && touch /root/x\nRUN rm /a/b && echo 2 > /a/c\nENV x=1"
    )
    image = await build(engine, dockerfile, squash=True)
    base, top = await layers(engine, image)
    assert "bin/wc" in base
    assert set(top) == {
        *("a", "a/c", "bin", "bin/.wh.wc", ".wh.tmp"),
        *("root", "root/.wh..wh..opq", "root/x"),
    }
    history = await engine.image_history(image)
    assert [item.size > 0 for item in history] == [True, *[False] * 4, True]
    assert history[0].comment.startswith("merge sha256:")


async def test_a_trigger_may_need_a_stage_that_nothing_else_does(engine: Engine) -> None:
    await build(engine, "FROM busybox\nONBUILD COPY --from=files /f /g", t=["base"])
    text = await said(begin(engine, "FROM busybox AS files\nRUN echo 1 > /f\nFROM base\nENV a=b"))
    assert "Step 1/2 : FROM base\n# Executing 1 build trigger\n" in text
    assert "Successfully built" in text
    with pytest.raises(LaminaError, match="invalid from flag value files"):
        await build(engine, "FROM base")


async def test_too_much(engine: Engine) -> None:
    with pytest.raises(InvalidParameter, match="more than 2000 are not taken"):
        await build(engine, "FROM busybox\n" + "ENV a=b\n" * 2000)
    # What a base asks for counts too, and what that needs.
    triggers = ["ONBUILD ENV a=b"] * 1500
    rootfs = io.BytesIO(tar_of({"a": b""}))
    await engine.image_create(from_src="-", repo="base", changes=triggers, input_image=rootfs)
    await build(engine, "FROM base")
    with pytest.raises(InvalidParameter, match="a build of 3003 steps"):
        await build(engine, "FROM base AS a\nFROM base\nCOPY --from=a /a /a")
    await build(engine, "FROM busybox\nONBUILD COPY --from=needed / /", t=["needs"])
    needed = "FROM scratch AS needed\n" + "ENV a=b\n" * 2000
    with pytest.raises(LaminaError, match="a build of 2003 steps"):
        await build(engine, f"{needed}FROM needs")
    with pytest.raises(LaminaError, match="max depth exceeded"):
        await build(engine, "FROM busybox\n" + "COPY a /\n" * 125, {"a": "1"}, nocache=True)


async def test_many_steps(engine: Engine) -> None:
    dockerfile = "FROM busybox\n" + "".join(f"ENV a{n}=b\n" for n in range(150))
    image = await build(engine, dockerfile)
    history = await engine.image_history(image)
    assert all(item.id != "<missing>" for item in history)
    assert await build(engine, dockerfile) == image


async def test_the_network_of_a_container(engine: Engine) -> None:
    with pytest.raises(NotFound, match="No such container: nosuch"):
        await build(engine, "FROM busybox\nRUN true", networkmode="container:nosuch")


async def test_checks_are_told_of_to_who_can_hear_it(engine: Engine) -> None:
    dockerfile = "from busybox\nENV a=$nope\nMAINTAINER me\nCMD x"
    told = [e async for e in begin(engine, dockerfile) if isinstance(e, BuildWarning)]
    assert [(one.rule, one.first_line) for one in told] == [
        ("ConsistentInstructionCasing", 1),
        ("UndefinedVar", 2),
        ("MaintainerDeprecated", 3),
        ("JSONArgsRecommended", 4),
    ]
    with pytest.raises(InvalidParameter, match="lint violation found"):
        await build(engine, "# check=error=true\n" + dockerfile)
    await build(engine, "# check=skip=all;error=true\n" + dockerfile)
