"""What other engines unpack from the same layer: file by file the same."""

import stat
import tarfile
from pathlib import Path

from lamina.layers.apply import ApplyOptions, Form, apply_layer
from tests.real.archives import docker_archive
from tests.real.dockerd import Dockerd
from tests.real.images import make_image, tar_of
from tests.real.programs import run
from tests.real.tools import umoci_layout
from tests.unit.layers.archives import DIRECTORY, FIFO, FILE, LINK, SYMLINK, archive_of, member
from tests.unit.layers.trees import Facts, differences, listing, needs_root

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000").decode("latin-1")
SU: dict[str, object] = {"mode": 0o4755, "uid": 7, "gid": 8, "mtime": 1500000000.5}
IMPLIED = {"", "implied", "implied/deep"}

ENTRIES: list[tuple[str, bytes, bytes | str, dict[str, object]]] = [
    ("d", DIRECTORY, "", {"mode": 0o2755, "uid": 1, "gid": 9}),
    ("d/no-heir", FILE, b"", {}),
    ("d/sub", DIRECTORY, "", {"mode": 0o700}),
    ("su", FILE, b"x" * 70000, SU),
    ("cap", FILE, b"x", {"uid": 5, "mode": 0o755, "pax_headers": {
        "SCHILY.xattr.security.capability": CAPABILITY, "SCHILY.xattr.user.u": "v"}}),
    ("same", LINK, "su", SU),
    ("sticky", DIRECTORY, "", {"mode": 0o1777}),
    ("link", SYMLINK, "/etc/../x", {"uid": 3, "gid": 4, "mtime": 1500000001.25}),
    ("same-link", LINK, "link", {"uid": 3, "gid": 4}),
    ("fifo", FIFO, "", {"mode": 0o622, "gid": 5}),
    ("null", tarfile.CHRTYPE, "", {"mode": 0o666, "devmajor": 1, "devminor": 3, "uid": 2}),
    ("disk", tarfile.BLKTYPE, "", {"mode": 0o660, "devmajor": 259, "devminor": 70000}),
    ("implied/deep/file", FILE, b"1", {"mode": 0o600}),
    ("lib", SYMLINK, "implied/deep", {}),
    ("lib/through", FILE, b"2", {}),
    ("closed", DIRECTORY, "", {"mode": 0o555}),
    ("closed/file", FILE, b"", {"mode": 0o400}),
    ("é\x7f", FILE, b"u", {}),
    ("n" * 255, FILE, b"l", {}),
    ("opaque", DIRECTORY, "", {"mode": 0o750}),
    ("opaque/.wh..wh..opq", FILE, b"", {}),
    ("opaque/new", FILE, b"", {}),
    (".wh.gone", FILE, b"", {}),
    ("d/.wh.gone", FILE, b"", {}),
]  # fmt: skip


def layer() -> bytes:
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    for name, type, content, fields in ENTRIES:
        info, data = member(name, type, content)
        for field, value in {"mtime": 1500000000, **fields}.items():
            setattr(info, field, value)
        members.append((info, data))
    return archive_of(members)


def unpacked(target: Path, form: Form) -> dict[str, Facts]:
    target.mkdir()
    apply_layer([layer()], target, ApplyOptions(form=form))
    return comparable(listing(target))


def comparable(found: dict[str, Facts]) -> dict[str, Facts]:
    """Without the times of what has no entry, and what whiteouts have but their being there."""
    facts = dict(found)
    for path, fact in found.items():
        if stat.S_ISCHR(int(str(fact[0]), 8)) and fact[4] == (0, 0):
            facts[path] = (fact[4],)
        elif path in IMPLIED:
            facts[path] = (*fact[:3], None, *fact[4:])
    return facts


@needs_root
def test_as_umoci(tmp_path: Path) -> None:
    layout = umoci_layout(tmp_path / "layout", make_image(layer()), "x")
    run(["umoci", "unpack", "--image", f"{layout}:x", str(tmp_path / "bundle")])
    theirs = comparable(listing(tmp_path / "bundle/rootfs"))
    assert differences(unpacked(tmp_path / "ours", Form.MERGED), theirs) == {}


@needs_root
def test_as_dockerd(tmp_path: Path, dockerd: Dockerd) -> None:
    image = make_image(layer())
    archived = tmp_path / "image.tar"
    archived.write_bytes(tar_of(docker_archive((image, ["as-dockerd:unpacked"]))))
    client = ["docker", "-H", dockerd.host]
    run([*client, "load", "-i", str(archived)])
    upper = run([*client, "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", image.id]).strip()
    theirs = comparable(listing(Path(upper)))
    run([*client, "rmi", "as-dockerd:unpacked"])
    assert differences(unpacked(tmp_path / "ours", Form.OVERLAY), theirs) == {}
