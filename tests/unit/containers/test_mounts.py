from pathlib import Path
from typing import Any

import pytest

from lamina.containers.mounts import (
    check_sources,
    make_sources,
    mount_points,
    runtime_mounts,
    volumes_from,
)
from lamina.containers.volumes import Volumes
from lamina.errors import InvalidParameter, LaminaError, StartFailed
from lamina.models import BindOptions, HostConfig, Mount, MountDriver, TmpfsOptions, VolumeOptions


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path / "volumes", "process")


def test_mounts(tmp_path: Path, volumes: Volumes) -> None:
    host = HostConfig(
        binds=(f"{tmp_path}/made:/bound:ro,rslave", "/plain"),
        mounts=(
            Mount(type="bind", source=str(tmp_path), target="/other/"),
            Mount(type="volume", target="/volume", volume_options=VolumeOptions(no_copy=True)),
            Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=9, mode=0o700)),
        ),
        tmpfs={"/exec": "exec,size=1m"},
    )
    points, new = mount_points(host, ["/declared", "/bound", "/t", "plain/"], volumes)
    assert [(p.type, p.destination, p.rw, p.mode) for p in points] == [
        ("bind", "/bound", False, "ro,rslave"), ("volume", "/plain", True, "z"),
        ("bind", "/other", True, ""), ("volume", "/volume", True, "z"),
        ("volume", "/declared", True, ""),
    ]  # fmt: skip
    assert [(volume.target, volume.is_filled) for volume in new] == [
        ("/plain", True), ("/volume", False), ("/declared", True),
    ]  # fmt: skip
    assert {volume.name for volume in new} == {p.name for p in points if p.type == "volume"}
    found = {mount.target: mount for mount in runtime_mounts(host, points)}
    assert found["/bound"].options == ("rbind", "rslave", "ro")
    assert found["/exec"].options == ("nosuid", "nodev", "exec", "size=1m")
    assert found["/t"].options == ("noexec", "nosuid", "nodev", "size=9", "mode=700")


def test_nothing_is_made_before_it_is_sure_what_is_wanted(tmp_path: Path, volumes: Volumes) -> None:
    for more in ({"binds": (f"{tmp_path}/made:/a", "/b", "/c:bad")}, {"binds": ("/b",)}):
        with pytest.raises(InvalidParameter):
            mount_points(HostConfig(**more), ["/"], volumes)
    assert list(tmp_path.iterdir()) == []


def test_directories_of_the_host_are_made_for_each_start(tmp_path: Path, volumes: Volumes) -> None:
    for name in ("file", "there"):
        (tmp_path / name).touch()
    options = BindOptions(create_mountpoint=True, non_recursive=True)
    host = HostConfig(
        binds=(f"{tmp_path}/a/b:/b", f"{tmp_path}/file:/f", f"{tmp_path}/file/in/it:/i"),
        mounts=(
            Mount(type="bind", source=f"{tmp_path}/c/d", target="/d", bind_options=options),
            Mount(type="bind", source=f"{tmp_path}/there", target="/there"),
        ),
    )
    points, _ = mount_points(host, (), volumes)
    for _ in range(2):
        make_sources(host, points)
    assert (tmp_path / "a/b").is_dir()
    assert (tmp_path / "c/d").is_dir()
    assert [mount.options[0] for mount in runtime_mounts(host, points) if mount.target == "/d"] == [
        "bind"
    ]
    check_sources(host)
    (tmp_path / "there").unlink()
    make_sources(host, points)
    assert not (tmp_path / "there").exists()
    with pytest.raises(InvalidParameter, match=f"does not exist: {tmp_path}/there"):
        check_sources(host)


@pytest.mark.parametrize("source", ["/proc/none/of/it", "/tmp/\0"])
def test_directories_that_cannot_be_made(volumes: Volumes, source: str) -> None:
    host = HostConfig(binds=(f"{source}:/t",))
    points, _ = mount_points(host, (), volumes)
    with pytest.raises(StartFailed, match=f"error while creating mount source path '{source}': mk"):
        make_sources(host, points)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"binds": ("/a://",)}, "destination can't be '/'"),
        ({"mounts": (Mount(type="tmpfs", target="//"),)}, "destination can't be '/'"),
        ({"binds": ("/a:/t", "/b:/t/")}, "Duplicate mount point: /t"),
        (
            {
                "mounts": (
                    Mount(
                        type="volume",
                        target="/t",
                        volume_options=VolumeOptions(driver_config=MountDriver(name="x")),
                    ),
                )
            },
            'error looking up volume plugin x: plugin "x" not found',
        ),
        (
            {
                "mounts": (
                    Mount(
                        type="volume",
                        target="/t",
                        volume_options=VolumeOptions(
                            driver_config=MountDriver(name="local", options={"type": "nfs"})
                        ),
                    ),
                )
            },
            "no options of volume drivers",
        ),
        ({"binds": ("name:/t",)}, "no named volumes"),
    ],
)
def test_what_cannot_be_mounted(volumes: Volumes, host: dict[str, Any], words: str) -> None:
    """As `tests/conformance` has it; here is what there cannot be asked or compared."""
    with pytest.raises(LaminaError, match=words):
        mount_points(HostConfig(**host), (), volumes)


def test_mounts_of_others(volumes: Volumes) -> None:
    assert volumes_from(HostConfig(volumes_from=("a", "b:ro", "c:rw,z"))) == [
        ("a", True), ("b", False), ("c", True),
    ]  # fmt: skip
    theirs, _ = mount_points(HostConfig(binds=("/x:/x", "/y:/y:ro")), (), volumes)
    points, new = mount_points(
        HostConfig(binds=("/z:/x",)), (), volumes, inherited=[(theirs, True)]
    )
    assert [(p.source, p.destination, p.rw) for p in points] == [
        ("/z", "/x", True), ("/y", "/y", False),
    ]  # fmt: skip
    over = HostConfig(mounts=(Mount(type="tmpfs", target="/x"),))
    points, _ = mount_points(over, (), volumes, inherited=[(theirs, True)])
    assert [p.destination for p in points] == ["/y"]
    points, _ = mount_points(HostConfig(), (), volumes, inherited=[(theirs, False)])
    assert [p.rw for p in points] == [False, False]
    assert new == []
