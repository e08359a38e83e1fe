"""The images that are measured: Debian's base system and generated files, made once and kept.

Generated content follows a fixed seed, so every machine measures the same bytes; only Debian's own
packages move on. Without root or without a mirror the base is generated as well, and the results
say so.
"""

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.contexts import BASE, EPOCH, MIB, PYTHON, Context, ContextSizes, make_contexts
from tests.real.images import busybox_rootfs
from tests.real.programs import require

VERSION = "1"
"""Part of the file names: raised when what is generated changes."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    image_bytes: int = 500 * MIB
    image_entries: int = 25_000
    many: int = 1_000
    dangling: int = 200
    parallel: int = 4
    large_layers: int = 4
    large_layer_bytes: int = 1 << 30
    runs: int = 10
    commit_bytes: int = 50 * MIB
    contexts: ContextSizes = field(default_factory=ContextSizes)


FULL = Sizes()
QUICK = Sizes(
    image_bytes=20 * MIB,
    image_entries=1_000,
    many=50,
    dangling=10,
    parallel=2,
    large_layer_bytes=8 * MIB,
    runs=2,
    commit_bytes=2 * MIB,
    contexts=ContextSizes(metadata=6, files=200, large=4 * MIB, runs=3, sleep=0.1),
)


@dataclass(frozen=True)
class Fixtures:
    """Paths of the archives. `base` says what the big image consists of.

    `small` is busybox alone; `bases` are what `contexts` are built on.
    """

    big: Path
    rootfs: Path
    parallel: tuple[Path, ...]
    many: Path
    dangling: Path
    large: Path
    small: Path
    bases: tuple[Path, ...]
    contexts: Mapping[str, Context]
    base: str
    sizes: Sizes


def make_fixtures(work: Path, sizes: Sizes) -> Fixtures:
    """Make what is not there yet, below `work`; takes a few minutes once."""
    kept = work / f"v{VERSION}-{sizes.image_bytes // MIB}m-{sizes.image_entries}"
    kept.mkdir(parents=True, exist_ok=True)
    parallel = [kept / f"parallel-{number}.tar" for number in range(sizes.parallel)]
    big, rootfs, note = kept / "big.tar", kept / "rootfs.tar", kept / "base.txt"
    if not note.exists():
        base = _make_big(kept, big, rootfs, sizes)
        note.write_text(base)
    for number, path in enumerate(parallel):
        if not path.exists():
            layer = kept / "layer.tar"
            _generate_layer(layer, sizes.image_bytes, sizes.image_entries, seed=100 + number)
            _docker_archive(path, [layer], f"bench/parallel-{number}:1")
            layer.unlink()
    many, dangling = kept / f"many-{sizes.many}.tar", kept / f"dangling-{sizes.dangling}.tar"
    if not many.exists():
        _many_images(many, sizes.many, named=True)
    if not dangling.exists():
        _many_images(dangling, sizes.dangling, named=False)
    large = kept / "large.tar"
    if not large.exists():
        _make_large(kept, large, sizes)
    small, python = kept / "small.tar", kept / "python.tar"
    if not small.exists():
        _docker_archive(small, [_busybox_layer(kept)], BASE)
    base = note.read_text()
    if base.startswith("Debian") and not python.exists():
        _make_python(kept, python)
    bases = [path for path in (small, python) if path.exists()]
    contexts = make_contexts(kept / "contexts", sizes.contexts, has_python=python.exists())
    return Fixtures(
        big=big,
        rootfs=rootfs,
        parallel=tuple(parallel),
        many=many,
        dangling=dangling,
        large=large,
        small=small,
        bases=tuple(bases),
        contexts=contexts,
        base=base,
        sizes=sizes,
    )


def _busybox_layer(kept: Path) -> Path:
    layer = kept / "busybox.tar"
    layer.write_bytes(busybox_rootfs())
    return layer


def _make_python(kept: Path, target: Path) -> None:
    """A Debian with Python, to build on."""
    layer = kept / "python-layer.tar"
    packages = "python3,python3-pip,python3-venv"
    if _debian_layer(kept / "debian", layer, f"--include={packages}") is not None:
        _docker_archive(target, [layer], PYTHON)
        layer.unlink()


def _make_large(kept: Path, target: Path, sizes: Sizes) -> None:
    layers = [kept / f"large-{number}.tar" for number in range(sizes.large_layers)]
    for number, layer in enumerate(layers):
        _generate_layer(layer, sizes.large_layer_bytes, 2_000, seed=200 + number)
    _docker_archive(target, layers, "bench/large:1")
    for layer in layers:
        layer.unlink()


def _make_big(kept: Path, big: Path, rootfs: Path, sizes: Sizes) -> str:
    lower, upper = kept / "lower.tar", kept / "upper.tar"
    entries = _debian_layer(kept / "debian", lower) if sizes == FULL else None
    if entries is None:
        entries = sizes.image_entries * 2 // 5
        _generate_layer(lower, sizes.image_bytes * 2 // 5, entries, seed=1)
        base = "generated files only"
    else:
        base = "Debian 12 minbase (debootstrap) and generated files"
    left = max(MIB, sizes.image_bytes - lower.stat().st_size)
    _generate_layer(upper, left, max(1, sizes.image_entries - entries), seed=2)
    # Debian has programs of its own to run.
    programs = [] if base.startswith("Debian") else [_busybox_layer(kept)]
    _docker_archive(big, [*programs, lower, upper], "bench/big:1")
    _concatenate(lower, upper, rootfs)
    lower.unlink()
    upper.unlink()
    return base


def _debian_layer(tree: Path, target: Path, *options: str) -> int | None:
    """Pack a minimal Debian; returns its number of entries, None where that cannot be had."""
    if os.geteuid() != 0:
        return None
    shutil.rmtree(tree, ignore_errors=True)
    done = subprocess.run(
        [require("debootstrap"), "--variant=minbase", *options, "bookworm", str(tree)],
        capture_output=True,
        check=False,
        timeout=1200,
    )
    if done.returncode != 0:
        shutil.rmtree(tree, ignore_errors=True)
        return None
    entries = 0
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(tree.rglob("*")):
            # Device nodes need privileges that even root may lack in a container.
            if path.is_symlink() or path.is_file() or path.is_dir():
                tar.add(path, arcname=str(path.relative_to(tree)), recursive=False)
                entries += 1
    shutil.rmtree(tree)
    return entries


def _generate_layer(target: Path, total: int, entries: int, *, seed: int) -> None:
    """A layer of about `total` bytes in `entries` entries: half of it text, half of it noise."""
    rng = random.Random(seed)
    noise = rng.randbytes(32 * MIB)
    words = [rng.randbytes(rng.randint(2, 6)).hex().encode() for _ in range(4096)]
    text = b" ".join(rng.choices(words, k=2 * MIB))
    files = entries * 24 // 25
    # Many small files and a few large ones, as in any installed system.
    weights = [rng.lognormvariate(0, 1.6) for _ in range(files)]
    payload = max(0, total - entries * 1024)
    scale = payload / sum(weights)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for number, weight in enumerate(weights):
            if number % 24 == 0:
                folder = f"opt/generated-{seed}/{number // 24:04d}"
                tar.addfile(_info(folder, 0, directory=True))
            else:
                folder = f"opt/generated-{seed}/{number // 24:04d}"
            pool = noise if number % 2 else text
            size = min(int(weight * scale), len(pool) - 1)
            start = rng.randrange(len(pool) - size)
            # A serial number in each, so that no two files are the same.
            data = b"%d %d\n" % (seed, number) + pool[start : start + size]
            tar.addfile(_info(f"{folder}/{number:05d}.dat", len(data)), io.BytesIO(data))


def _info(name: str, size: int, *, directory: bool = False) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, EPOCH
    info.mode = 0o755 if directory else 0o644
    info.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    return info


def _concatenate(lower: Path, upper: Path, target: Path) -> None:
    """Both layers as one tar: the lower one without its end marker, then the upper one."""
    with tarfile.open(lower) as tar:
        end = 0
        for member in tar:
            blocks = (member.size + 511) // 512 if member.isreg() else 0
            end = member.offset_data + blocks * 512
    partial = target.with_suffix(".partial")
    with partial.open("wb") as out:
        with lower.open("rb") as first:
            while end > 0 and (data := first.read(min(end, MIB))):
                out.write(data)
                end -= len(data)
        with upper.open("rb") as second:
            shutil.copyfileobj(second, out, MIB)
    partial.rename(target)


def _docker_archive(target: Path, layers: Sequence[Path], name: str) -> None:
    """A docker-archive as `docker save` of 20.10 writes it."""
    digests = [_sha256(path) for path in layers]
    config = _config(digests, name)
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    paths = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": paths}]

    def members() -> Iterator[tuple[str, bytes | Path]]:
        yield from zip(paths, layers, strict=True)
        yield config_name, config
        yield "manifest.json", json.dumps(manifest).encode()

    _write_archive(target, members())


def _many_images(target: Path, count: int, *, named: bool) -> None:
    """Many images of five layers; those without names own a layer each, the others share them."""
    shared = [_small_layer(f"shared-{number}") for number in range(5 if named else 4)]
    files = {_hex(data): data for data in shared}
    manifest, configs = [], {}
    for number in range(count):
        layers = list(shared)
        if not named:
            layers.append(_small_layer(f"own-{number}"))
            files[_hex(layers[-1])] = layers[-1]
        config = _config([_hex(data) for data in layers], f"image {number}")
        configs[_hex(config) + ".json"] = config
        manifest.append(
            {
                "Config": _hex(config) + ".json",
                "RepoTags": [f"bench/many-{number}:1"] if named else None,
                "Layers": [f"{_hex(data)}/layer.tar" for data in layers],
            }
        )
    _write_archive(
        target,
        [
            *((f"{digest}/layer.tar", data) for digest, data in files.items()),
            *configs.items(),
            ("manifest.json", json.dumps(manifest).encode()),
        ],
    )


def _small_layer(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        data = name.encode() * 512
        tar.addfile(_info(f"srv/{name}", len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _config(digests: Sequence[str], comment: str) -> bytes:
    created = "2024-02-29T12:34:56.123456789Z"
    return json.dumps(
        {
            "architecture": "amd64",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["/bin/sh"],
                "Labels": {"org.opencontainers.image.title": comment},
            },
            "created": created,
            "history": [{"created": created, "created_by": f"layer {d[:12]}"} for d in digests],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
        }
    ).encode()


def _write_archive(target: Path, members: Iterable[tuple[str, bytes | Path]]) -> None:
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        for name, source in members:
            if isinstance(source, Path):
                with source.open("rb") as file:
                    tar.addfile(_info(name, source.stat().st_size), file)
            else:
                tar.addfile(_info(name, len(source)), io.BytesIO(source))
    partial.rename(target)


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
