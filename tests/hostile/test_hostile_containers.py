"""Images that want out of their containers: nothing outside of the root is read or written."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.container_stories import JSON, create, get, post, put
from tests.conformance.wire import TAR, Ask, Heard, empty, load, send
from tests.real.archives import docker_archive
from tests.real.images import (
    Entry,
    busybox_rootfs,
    file,
    hard_link,
    layer,
    make_image,
    symlink,
    tar_of,
)
from tests.real.lamina_daemon import LaminaDaemon

SECRET = b"root:x:0:0:SECRET:/root:/bin/sh\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the host's, which no container may see or change."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def socket(attacked_daemon: LaminaDaemon) -> Iterator[Path]:
    empty(attacked_daemon.socket)
    yield attacked_daemon.socket
    empty(attacked_daemon.socket)


def made(socket: Path, *entries: Entry, name: str = "busybox:1") -> None:
    """Load an image of busybox with a layer of these on top."""
    image = make_image(busybox_rootfs(), layer(*entries))
    load(socket, tar_of(docker_archive((image, [name]))))


def ran(socket: Path, *cmd: str, **config: object) -> tuple[Heard, bytes]:
    """How a container was started, and what it wrote."""
    assert send(socket, create("aa", *cmd, **config)).status == 201  # type: ignore[arg-type]
    started = send(socket, post("aa", "start"))
    send(socket, post("aa", "wait"))
    return started, send(socket, get("aa", "logs", stdout=1, stderr=1)).body


@pytest.mark.parametrize("climb", ["", "../../../../../../.."], ids=["absolute", "climbing"])
def test_users_are_not_looked_up_through_links(socket: Path, outside: Path, climb: str) -> None:
    made(
        socket,
        symlink("etc/passwd", f"{climb}{outside}"),
        symlink("etc/group", f"{climb}{outside}"),
    )
    started, _ = ran(socket, "true", User="SECRET")
    assert started.status == 500
    assert "unable to find user SECRET" in started.message


@pytest.mark.parametrize(
    "user", ["root\nx:x:0:0", "0:0:0", "-1", "99999999999", "root:../../etc", "\u0660", " 0"]
)
def test_a_user_that_is_none(socket: Path, user: str) -> None:
    made(socket)
    started, _ = ran(socket, "true", User=user)
    assert started.status == 500


def test_etc_itself_leads_outside(socket: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"untouched")
    (tmp_path / "hostname").write_bytes(b"untouched")
    made(socket, Entry("etc", kind=tarfile.SYMTYPE, link=str(tmp_path)))
    started, _ = ran(socket, "true")
    assert started.status in {204, 400, 500}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostname", "hosts"]
    assert (tmp_path / "hosts").read_bytes() == b"untouched"


def test_the_working_directory_leads_outside(socket: Path, tmp_path: Path) -> None:
    made(socket, symlink("way", str(tmp_path)))
    ran(socket, "touch", "file", WorkingDir="/way/new")
    assert list(tmp_path.iterdir()) == []


def test_a_mount_point_leads_outside(socket: Path, tmp_path: Path) -> None:
    made(socket, symlink("way", str(tmp_path)))
    ran(socket, "touch", "/way/data/file", Volumes={"/way/data": {}})
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_copied_through_links(socket: Path, outside: Path) -> None:
    made(
        socket,
        symlink("way", str(outside.parent)),
        symlink("climb", "../../../../.." + str(outside.parent)),
        symlink("secret", str(outside)),
    )
    send(socket, create("aa", "true"))
    for path in ("/way/secret", "/climb/secret", "/way", "/secret/."):
        assert send(socket, get("aa", "archive", path=path)).body.find(b"SECRET") < 0
    copied = send(socket, get("aa", "archive", path="/secret"))
    with tarfile.open(fileobj=io.BytesIO(copied.body)) as tar:
        assert [member.issym() for member in tar] == [True]
    for path in ("/way", "/climb"):
        assert send(socket, put("aa", path, file("written", "x"))).status in {400, 404}
    assert [path.name for path in outside.parent.iterdir()] == ["secret"]


def test_what_is_put_does_not_leave_its_directory(socket: Path, outside: Path) -> None:
    made(socket)
    send(socket, create("aa", "true"))
    for entries in (
        (file("../../../../../../../../.." + str(outside), "x"),),
        (symlink("way", str(outside.parent)), file("way/written", "x")),
        (hard_link("hard", str(outside)), file("hard", "x")),
        (symlink("one", ".."), symlink("one/two", str(outside.parent)), file("two/written", "x")),
    ):
        send(socket, put("aa", "/tmp", *entries))
    assert outside.read_bytes() == SECRET
    assert [path.name for path in outside.parent.iterdir()] == ["secret"]


def test_a_device_of_an_image_is_none(socket: Path) -> None:
    # The disk that the root filesystem of this machine is on.
    number = Path("/").stat().st_dev
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("disk")
        info.type, info.mode = tarfile.BLKTYPE, 0o666
        info.devmajor, info.devminor = os.major(number), os.minor(number)
        tar.addfile(info)
    image = make_image(busybox_rootfs(), archive.getvalue())
    load(socket, tar_of(docker_archive((image, ["busybox:1"]))))
    _, written = ran(socket, "dd", "if=/disk", "of=/dev/null", "bs=512", "count=1")
    assert b"not permitted" in written or b"ermission denied" in written, written


def test_a_container_sees_no_file_of_the_hosts(socket: Path, outside: Path) -> None:
    made(socket)
    script = f"cat {outside} /proc/1/root{outside} /proc/self/cwd/..{outside}; ls /proc/1/root/"
    _, written = ran(socket, "sh", "-c", script)
    assert b"SECRET" not in written


@pytest.mark.parametrize(
    "name", ["../../etc", "a/../../b", "aa\x00", "aa\n", "/", "..", "a" * 300 + "/"]
)
def test_names_are_no_paths(socket: Path, name: str) -> None:
    made(socket)
    body = json.dumps({"Image": "busybox:1", "HostConfig": {"NetworkMode": "none"}}).encode()
    ask = Ask("POST", f"/containers/create?name=%{name.encode().hex('%')}", body, JSON)
    assert send(socket, ask).status == 400


def test_a_tar_that_is_a_bomb_is_refused_with_little_memory(socket: Path) -> None:
    made(socket)
    send(socket, create("aa", "true"))
    header = layer(file("file", b""))[:512]
    # A header that says 8 EiB.
    size = b"777777777777777777777"[:11] + b" "
    broken = header[:124] + size + header[136:148] + b"        " + header[156:]
    checksum = b"%06o\0 " % sum(broken)
    broken = broken[:148] + checksum + broken[156:]
    answer = send(socket, Ask("PUT", "/containers/aa/archive?path=/", broken + bytes(4096), TAR))
    assert answer.status == 400
