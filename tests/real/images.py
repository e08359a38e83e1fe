"""Images made from nothing, byte for byte the same every time, without any of Lamina's own code.

What Lamina reads and writes is judged against these, so they must not come from it.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from tests.real.programs import MissingProgramError, require

CREATED = "2024-02-29T12:34:56.123456789Z"
EPOCH = 1_700_000_000


def sha256(data: bytes) -> str:
    """`sha256:…` of the data."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A member of a layer. `kind` is one of tarfile's types; `link` the target of a link."""

    path: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = EPOCH
    pax: Mapping[str, str] = field(default_factory=dict)


def file(path: str, data: bytes | str = b"", mode: int = 0o644) -> Entry:
    return Entry(path, data.encode() if isinstance(data, str) else data, mode=mode)


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, kind=tarfile.DIRTYPE, mode=mode)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hard_link(path: str, target: str) -> Entry:
    return Entry(path, kind=tarfile.LNKTYPE, link=target)


def whiteout(path: str) -> Entry:
    """The entry that removes `path` of the layers below."""
    parent, _, name = path.rpartition("/")
    return Entry(f"{parent}/.wh.{name}" if parent else f".wh.{name}")


def opaque(path: str) -> Entry:
    """The entry that hides what the layers below have in the directory `path`."""
    return Entry(f"{path}/.wh..wh..opq")


def layer(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:
    """An uncompressed layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.type, info.linkname, info.size = entry.kind, entry.link, len(entry.data)
            info.mode, info.uid, info.gid, info.mtime = (
                entry.mode,
                entry.uid,
                entry.gid,
                entry.mtime,
            )
            info.pax_headers = dict(entry.pax)
            tar.addfile(info, io.BytesIO(entry.data))
    return buffer.getvalue()


@dataclass(frozen=True)
class Image:
    """Uncompressed layers, lowest first, and the config that names them, as raw JSON."""

    layers: tuple[bytes, ...]
    config: bytes

    @property
    def id(self) -> str:
        return sha256(self.config)

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(sha256(data) for data in self.layers)

    @property
    def parsed_config(self) -> dict[str, Any]:
        value = json.loads(self.config)
        assert isinstance(value, dict)
        return value

    @property
    def platform(self) -> dict[str, str]:
        """As an index's descriptor has it."""
        config = self.parsed_config
        keys = ("architecture", "os", "variant")
        return {key: config[key] for key in keys if config.get(key)}


def make_image(
    *layers: bytes,
    architecture: str = "amd64",
    variant: str = "",
    system: str = "linux",
    run_config: Mapping[str, Any] | None = None,
    created: str = CREATED,
    history: Sequence[Mapping[str, Any]] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Image:
    """An image of these layers. `run_config` is its `config` object; `extra` overrides any key."""
    config: dict[str, Any] = {
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "config": dict(run_config or {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}),
        "created": created,
        "history": history
        if history is not None
        else [
            {"created": created, "created_by": f"layer {number}"} for number in range(len(layers))
        ],
        "os": system,
        "rootfs": {"type": "layers", "diff_ids": [sha256(data) for data in layers]},
        **(extra or {}),
    }
    return Image(tuple(layers), json.dumps(config, separators=(",", ":")).encode())


def small_image(seed: str, *, layers: int = 3, label: str = "") -> Image:
    """A distinct image of a few small layers: files, a directory, links and a whiteout."""
    first = layer(
        directory("etc"),
        file("etc/hostname", seed),
        file("etc/removed", "gone in the last layer"),
        symlink("etc/link", "hostname"),
        hard_link("etc/hard", "etc/hostname"),
    )
    middle = [
        layer(directory("data"), file(f"data/{number}", f"{seed} {number}\n" * 100))
        for number in range(1, layers - 1)
    ]
    last = layer(directory("etc"), whiteout("etc/removed"), file("etc/last", seed, 0o600))
    return make_image(
        *[first, *middle, last][:layers],
        run_config={
            "Env": ["PATH=/bin"],
            "Cmd": ["/bin/sh"],
            "Labels": {"seed": label or seed},
        },
    )


@cache
def busybox_rootfs() -> bytes:
    """A root filesystem with one static busybox and a link for each of its applets, as a tar."""
    return layer(*_busybox_files())


def another_busybox_rootfs(seed: str) -> bytes:
    """The same with a file more: a layer that no engine of other tests has seen."""
    return layer(*_busybox_files(), file("seed", seed))


@cache
def _busybox_files() -> tuple[Entry, ...]:
    program = Path(require("busybox"))
    binary = program.read_bytes()
    # A dynamic one names its loader in its first pages, and finds none in an empty root.
    if b"/ld-linux" in binary[:8192]:
        raise MissingProgramError("busybox")
    applets = subprocess.run(
        [program, "--list"], capture_output=True, check=True, text=True
    ).stdout.split()
    return (
        directory("bin"),
        file("bin/busybox", binary, 0o755),
        *(symlink(f"bin/{name}", "busybox") for name in sorted(set(applets) - {"busybox"})),
        directory("etc"),
        file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
        file("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        directory("root", 0o700),
        directory("tmp", 0o1777),
    )


@cache
def busybox_image() -> Image:
    """busybox's root filesystem as an image of one layer that a container can run."""
    return make_image(busybox_rootfs())


def gzipped(data: bytes) -> bytes:
    """gzip, the same bytes every time."""
    return gzip.compress(data, 6, mtime=0)


def write_tree(files: Mapping[str, bytes], target: Path) -> Path:
    """Write files by their relative paths below a directory, which is returned."""
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target


def tar_of(files: Mapping[str, bytes], *, directories: Iterable[str] | None = None) -> bytes:
    """A plain archive of files in the given order, their directories (or those given) first."""
    if directories is None:
        parents = {str(parent) for name in files for parent in PurePosixPath(name).parents}
        directories = sorted(parents - {"."})
    members = [
        *(directory(name) for name in directories),
        *(file(name, data) for name, data in files.items()),
    ]
    # skopeo unpacks an archive with its owners, which only root may set to anyone but itself.
    return layer(*(replace(member, uid=os.getuid(), gid=os.getgid()) for member in members))
