"""What outputs write: archives with names in them, files, and what there is after an error."""

import asyncio
import contextlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lamina.build.outputs import parse_output
from lamina.engine import Engine
from lamina.errors import InvalidParameter
from lamina.progress import BuildArchive, Operation, StreamText
from tests.real.images import file, symlink
from tests.real.tools import skopeo_copy
from tests.unit.build.builds import begin, build
from tests.unit.engine.root_files import open_files


async def archive_of(operation: Operation[Any]) -> bytes:
    """The archive that an operation gives to whoever asks."""
    return b"".join([event.data async for event in operation if isinstance(event, BuildArchive)])


def names_in(archive: bytes) -> tuple[list[str], list[str]]:
    """The names that docker finds in an archive, and those that others do."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = []
        for name in ("manifest.json", "index.json"):
            reader = tar.extractfile(name)
            assert reader is not None
            found.append(json.load(reader))
    [item], index = found
    annotations = [one.get("annotations", {}) for one in index["manifests"]]
    return item["RepoTags"] or [], [one["io.containerd.image.name"] for one in annotations if one]


def names_below(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_files(engine: Engine, tmp_path: Path) -> None:
    wanted = {kind: tmp_path / kind for kind in ("tar", "local", "oci")}
    outputs = [
        *(parse_output(f"type={kind},dest={path}") for kind, path in wanted.items()),
        parse_output('type=image,"name=one,two:2"'),
    ]
    files = [file("a", "A"), symlink("l", "a")]
    image = await build(
        engine, "FROM scratch\nCOPY . /d/\nCOPY a /d/Dockerfile", files, outputs=outputs
    )
    with tarfile.open(wanted["tar"]) as tar:
        assert tar.getnames() == ["d", "d/Dockerfile", "d/a", "d/l"]
    assert (wanted["local"] / "d" / "Dockerfile").read_text() == "A"
    assert (wanted["local"] / "d" / "l").readlink() == Path("a")
    assert names_in(wanted["oci"].read_bytes()) == ([], [])
    assert (await engine.image_inspect(image)).repo_tags == ["one:latest", "two:2"]


@pytest.mark.parametrize("quiet", [False, True])
async def test_an_archive_to_whoever_asks(engine: Engine, quiet: bool) -> None:  # noqa: FBT001
    files = {"a": "x" * 300_000}
    operation = begin(engine, "FROM scratch\nCOPY a /", files, q=quiet, outputs=[parse_output("-")])
    events = [event async for event in operation]
    parts = [event.data for event in events if isinstance(event, BuildArchive)]
    assert max(map(len, parts)) <= 1 << 16
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        assert tar.getnames() == ["a"]
    texts = [event.text for event in events if isinstance(event, StreamText)]
    assert (texts == [f"{operation.result}\n"]) is quiet


@pytest.mark.parametrize("kind", ["docker", "oci"])
async def test_names_in_an_archive(engine: Engine, kind: str, tmp_path: Path) -> None:
    output = parse_output(f"type={kind},dest=-")
    more = parse_output("type=image,name=more")
    tags = ["built:1", "example.com/x/built"]
    archive = await archive_of(
        begin(engine, "FROM busybox\nENV a=b", t=tags, outputs=[more, output])
    )
    full = ["docker.io/library/built:1", "example.com/x/built:latest"]
    assert names_in(archive) == (["built:1", "example.com/x/built:latest"], full)
    (tmp_path / "archive").write_bytes(archive)
    for source in (
        f"oci-archive:{tmp_path}/archive:1",
        f"docker-archive:{tmp_path}/archive:built:1",
    ):
        copy = tmp_path / f"copied-{source.partition(':')[0]}"
        skopeo_copy(source, f"docker-archive:{copy}:copied:1")
        assert await engine.image_load(copy) == ["copied:1"]
    async with Engine.open(tmp_path / "other") as other:
        assert await other.image_load(io.BytesIO(archive)) == [tags[0], f"{tags[1]}:latest"]


async def test_names_in_an_archive_alone(engine: Engine) -> None:
    output = parse_output('type=oci,dest=-,"name=only:1,only:2"')
    operation = begin(engine, "FROM busybox\nENV a=b", t=["built:1"], outputs=[output])
    assert names_in(await archive_of(operation))[0] == ["only:1", "only:2"]
    assert (await engine.image_inspect(operation.result)).repo_tags == ["built:1"]


async def test_no_file_where_it_was_not_finished(engine: Engine, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    outputs = [parse_output(f"type=tar,dest={kept}"), parse_output(f"type=oci,dest={kept}/x")]
    with pytest.raises(NotADirectoryError):
        await build(engine, "FROM busybox", outputs=outputs[1:])
    assert kept.read_text() == "kept"
    await build(engine, "FROM busybox", outputs=outputs[:1])
    assert tarfile.is_tarfile(kept)
    assert names_below(tmp_path) == {"kept", "root"}


async def test_whoever_leaves_holds_nothing(engine: Engine) -> None:
    files = {"a": "x" * 10_000_000}
    operation = begin(engine, "FROM scratch\nCOPY a /", files, t=["a"], outputs=[parse_output("-")])
    async with contextlib.aclosing(aiter(operation)) as events:
        async for event in events:
            if isinstance(event, BuildArchive):
                break
    deleted = await engine.image_delete("a")
    assert any(item.deleted for item in deleted)


async def test_an_image_that_is_here(engine: Engine, tmp_path: Path) -> None:
    # Its trigger, which would fail, is not for this.
    await build(engine, "FROM scratch\nCOPY a /\nONBUILD RUN false", {"a": "A"}, t=["here"])
    await engine.image_export("here", outputs=[parse_output(str(tmp_path / "out"))])
    assert (tmp_path / "out/a").read_text() == "A"
    exported = engine.image_export("here", outputs=[parse_output("type=oci,dest=-")], names=["x:1"])
    assert names_in(await archive_of(exported))[0] == ["x:1"]
    with pytest.raises(InvalidParameter, match="image_tag"):
        await engine.image_export("here", outputs=[parse_output("type=image,name=x")])


async def test_no_directory_stays_open_if_it_is_cancelled(engine: Engine, tmp_path: Path) -> None:
    await build(engine, "FROM scratch\nCOPY a /a", {"a": "A"}, t=["here"])
    out = tmp_path / "out"

    async def export() -> None:
        await engine.image_export("here", outputs=[parse_output(str(out))])

    exporting = asyncio.create_task(export())
    while not out.exists():  # noqa: ASYNC110 - nobody else could tell
        await asyncio.sleep(0)
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    assert str(out) not in open_files()
