"""Images whose files lead out of them: nothing of the host is read or written for a container."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.real import archives
from tests.real.images import (
    busybox_rootfs,
    directory,
    file,
    layer,
    make_image,
    symlink,
    tar_of,
    whiteout,
)
from tests.unit.engine.sources import load
from tests.unit.engine.test_containers import logs
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

SECRET = "nobody but the host may see this"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host, with a secret and a list of users."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text(SECRET)
    (place / "passwd").write_text("spy:x:0:0:::\n")
    (place / "hosts").write_text(SECRET)
    return place


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with Engine.open(tmp_path / "root") as engine:
        yield engine


def untouched(outside: Path) -> bool:
    return (
        sorted(path.name for path in outside.iterdir()) == ["hosts", "passwd", "secret"]
        and (outside / "secret").read_text() == SECRET
        and (outside / "hosts").read_text() == SECRET
    )


async def attempt(
    engine: Engine,
    layers: tuple[bytes, ...],
    config: ContainerConfig,
    host: HostConfig | None = None,
) -> str:
    """What a container of such an image writes, or why there is none."""
    image = make_image(busybox_rootfs(), *layers)
    await load(engine, tar_of(archives.docker_archive((image, ["hostile:1"]))))
    try:
        made = await engine.container_create(config, host_config=host)
        await engine.container_start(made.id)
        await engine.container_wait(made.id)
    except LaminaError as error:
        return str(error)
    return "".join(text for _, text in await logs(engine, made.id))


def config(*command: str, **more: object) -> ContainerConfig:
    return ContainerConfig(image="hostile:1", cmd=command, **more)  # type: ignore[arg-type]


async def test_users_of_the_host(engine: Engine, outside: Path) -> None:
    for link in (f"{outside}/passwd", "/".join([".."] * 20) + f"{outside}/passwd"):
        hostile = layer(whiteout("etc/passwd"), symlink("etc/passwd", link))
        said = await attempt(engine, (hostile,), config("id", user="spy"))
        assert "unable to find user spy" in said


async def test_files_that_the_engine_writes(engine: Engine, outside: Path) -> None:
    for link in (f"{outside}/hosts", "/".join([".."] * 20) + f"{outside}/hosts"):
        hostile = layer(symlink("etc/hosts", link), symlink("etc/resolv.conf", link))
        said = await attempt(engine, (hostile,), config("cat", "/etc/hosts"))
        assert SECRET not in said
        assert untouched(outside)


async def test_places_where_things_are_mounted(engine: Engine, outside: Path) -> None:
    hostile = layer(
        symlink("data", str(outside)),
        symlink("dev", str(outside)),
        symlink("proc", "/".join([".."] * 20) + str(outside)),
        symlink("work", str(outside)),
    )
    said = await attempt(
        engine,
        (hostile,),
        config(
            "sh", "-c", "ls /data; touch /data/x", volumes={"/data": {}}, working_dir="/work/in"
        ),
        HostConfig(tmpfs={"/work/t": ""}),
    )
    assert "secret" not in said
    assert untouched(outside)


async def test_devices_in_the_place_of_files(engine: Engine) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, major, minor in (("etc/passwd", 1, 5), ("etc/group", 1, 1)):
            device = tarfile.TarInfo(name)
            device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, major, minor
            tar.addfile(device)
    said = await attempt(engine, (buffer.getvalue(),), config("id", "-u", user="7"))
    # The OCI runtime reads them too, from within the container.
    assert said == "7\n" or "unable to setup user" in said


async def test_what_is_copied_out_and_in(engine: Engine, outside: Path) -> None:
    hostile = layer(
        directory("d"), symlink("d/out", str(outside)), file("d/f", "1"),
        symlink("d/up", "/".join([".."] * 20) + str(outside)),
    )  # fmt: skip
    await attempt(engine, (hostile,), config("true"))
    (container,) = await engine.container_list(all=True)
    for link in ("out", "up"):
        with pytest.raises(LaminaError, match="Could not find the file"):
            await engine.container_archive_info(container.id, path=f"/d/{link}/secret")
        with pytest.raises(LaminaError, match="Could not find the file"):
            await engine.put_container_archive(
                container.id, io.BytesIO(layer(file("x", "1"))), path=f"/d/{link}"
            )
    await engine.put_container_archive(
        container.id, io.BytesIO(layer(file("out/x", "1"), file("up/y", "1"))), path="/d"
    )
    assert untouched(outside)


@pytest.mark.parametrize("user", ["0\n0", "root:root:root", "../x", "-1", "9" * 30, "\0", "a b"])
async def test_users_that_are_none(engine: Engine, user: str) -> None:
    said = await attempt(engine, (), config("id", "-u", user=user))
    assert "unable to find" in said or "must be in range" in said
