"""Archives that must be refused, by name. Each is made when it is needed; some have no end.

OCI layouts are in `layouts`.
"""

import bz2
import gzip
import json
import lzma
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import Any

from backports import zstd

from tests.conformance.stock import BASE, PLAIN, SECOND
from tests.hostile.tars import END, base256, endless, header, member, pax, record
from tests.real.archives import docker_archive, dumps
from tests.real.images import (
    Entry,
    file,
    hard_link,
    layer,
    make_image,
    symlink,
    tar_of,
)

Body = bytes | Iterable[bytes]
Case = Callable[[], Body]

MIB = 1 << 20
GIB = 1 << 30
_CONFIG = PLAIN.id.removeprefix("sha256:") + ".json"
_FILES = docker_archive((PLAIN, ["victim:1"]), extra=False)
_ENTRY: dict[str, Any] = json.loads(_FILES["manifest.json"])[0]
DEEP = b"[" * 200_000
NOISE = random.Random(2).randbytes(200_000)


def manifest(value: object) -> Case:
    """A good archive but for its manifest.json, given as JSON or as bytes."""
    data = value if isinstance(value, bytes) else dumps(value)
    return lambda: tar_of({**_FILES, "manifest.json": data})


def entry(**changes: object) -> Case:
    """A good archive but for some members of manifest.json's only entry."""
    return manifest([{**_ENTRY, **changes}])


def config(value: object) -> Case:
    """A good archive but for its config."""
    data = value if isinstance(value, bytes) else dumps(value)
    return lambda: tar_of({**_FILES, _CONFIG: data})


def config_with(**changes: object) -> Case:
    return config({**PLAIN.parsed_config, **changes})


def files(*entries: Entry, without: str = "") -> Case:
    """A good archive with entries before the good ones."""
    kept = [file(name, data) for name, data in _FILES.items() if name != without]
    return lambda: layer(*entries, *kept)


def layers_are(*entries: Entry, first: str) -> Case:
    """An archive in which the path of the first layer is made by `entries` alone."""
    changed = [{**_ENTRY, "Layers": [first, _ENTRY["Layers"][1]]}]
    good = {**_FILES, "manifest.json": dumps(changed)}
    return lambda: layer(*entries, *(file(name, data) for name, data in good.items()))


def then(*parts: bytes) -> Case:
    return lambda: b"".join(parts)


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """gzip without an end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in pieces:
        if data := packer.compress(piece):
            yield data
    yield packer.flush()


_GOOD = tar_of(_FILES)

NO_ARCHIVES: dict[str, Case] = {
    "no bytes": lambda: b"",
    "one byte": lambda: b"\x1f",
    "one zero": lambda: b"\0",
    "half a block": lambda: _GOOD[:256],
    "text": lambda: b"This is no archive.\n" * 100,
    "noise": lambda: NOISE,
    "an empty tar": lambda: END,
    "zeros": lambda: bytes(MIB),
    "gzip of nothing": lambda: gzip.compress(b""),
    "gzip of noise": lambda: gzip.compress(NOISE),
    "gzip, then noise": lambda: b"\x1f\x8b\x08\x00" + NOISE,
    "gzip, cut": lambda: gzip.compress(_GOOD)[:-500],
    "gzip, cut in its trailer": lambda: gzip.compress(_GOOD)[:-4],
    "gzip with a wrong checksum": lambda: gzip.compress(_GOOD)[:-8] + bytes(8),
    "bzip2, then noise": lambda: b"BZh9" + NOISE,
    "bzip2, cut": lambda: bz2.compress(_GOOD)[:-300],
    "xz, then noise": lambda: b"\xfd7zXZ\0" + NOISE,
    "xz, cut": lambda: lzma.compress(_GOOD)[:-300],
    "zstd, then noise": lambda: b"\x28\xb5\x2f\xfd" + NOISE,
    "zstd, cut": lambda: zstd.compress(_GOOD)[:-300],
    "zstd with a window of 2 GiB": lambda: b"\x28\xb5\x2f\xfd\x00\xa8" + NOISE,
    "files that say nothing": lambda: tar_of({"a": b"1", "b/c": b"2"}),
    "a root filesystem": lambda: BASE,
}


def many_members(start: int) -> bytes:
    return b"".join(member(b"%d/x" % number, b"x") for number in range(start, start + 500))


TARS: dict[str, Case] = {
    "wrong checksum": then(header(b"manifest.json", 2, checksum=1), b"[]".ljust(512, b"\0"), END),
    "negative size": then(header(b"manifest.json", base256(-1, 12)), END),
    "very negative size": then(header(b"manifest.json", base256(-(2**80), 12)), END),
    "huge size": then(header(b"manifest.json", base256(2**63, 12)), END),
    "larger than 64 bits": then(header(b"manifest.json", base256(2**90, 12)), END),
    "huge layer that is not there": then(header(b"x/layer.tar", base256(2**60, 12)), b"x" * 5000),
    "size in letters": then(header(b"manifest.json", b"banana      "), END),
    "size in eights": then(header(b"manifest.json", b"00000000888\0"), END),
    "long name of 1 GiB": then(header(b"././@LongLink", base256(GIB, 12), kind=b"L"), NOISE),
    "long name, negative": then(header(b"././@LongLink", base256(-5, 12), kind=b"L"), NOISE),
    "endless long name": lambda: endless(b"@LongLink", 64 * GIB, b"a" * MIB, kind=b"L"),
    "PAX of 1 GiB": then(header(b"x", base256(GIB, 12), kind=b"x"), NOISE),
    "PAX that lies about a length": lambda: pax(b"99999999 path=x\n") + _GOOD,
    "PAX without a length": lambda: pax(b"path=x\n") + _GOOD,
    "PAX with a length of 0": lambda: pax(b"0 path=x\n") + _GOOD,
    "PAX with a huge length": lambda: pax(b"9" * 400 + b" path=x\n") + _GOOD,
    "PAX size, negative": lambda: pax(record(b"size", b"-1")) + member(b"x", b"y") + _GOOD,
    "PAX size, huge": lambda: pax(record(b"size", b"9" * 30)) + member(b"x", b"y") + _GOOD,
    "PAX size that is no number": lambda: (
        pax(record(b"size", b"banana")) + member(b"x", b"y") + _GOOD
    ),
    "PAX alone at the end": lambda: pax(record(b"path", b"x")),
    "path traversal": files(file("../../escape", "x"), without="manifest.json"),
    "absolute path": files(file("/tmp/lamina-escape", "x"), without="manifest.json"),
    "a name that is no UTF-8": then(member(b"\xff\xfe/layer.tar", b"x"), END),
    "a name of zero bytes": then(member(b"", b"x"), END),
    "many members": lambda: chain(map(many_members, range(0, 20_000, 500)), [END]),
}

MANIFESTS: dict[str, Case] = {
    "is missing": files(without="manifest.json"),
    "is empty": manifest(b""),
    "is no JSON": manifest(b"{]"),
    "is no UTF-8": manifest(b'[{"Config":"\xff\xfe"}]'),
    "ends in the middle": manifest(_FILES["manifest.json"][:-10]),
    "has something after it": manifest(_FILES["manifest.json"] + b"x"),
    "is an object": manifest({"Config": "x"}),
    "is a string": manifest("x"),
    "is a number": manifest(17),
    "holds strings": manifest(["x", "y"]),
    "holds null": manifest([None]),
    "holds an empty object": manifest([{}]),
    "is nested deeply": manifest(DEEP),
    "is nested deeply in a member": manifest(b'[{"x":' + b'{"a":' * 100_000),
    "has a number of many digits": manifest(b"[" + b"9" * 1_000_000 + b"]"),
    "never ends": lambda: endless(b"manifest.json", 64 * GIB, b"[" * MIB),
    "is very long": lambda: endless(b"manifest.json", 400 * MIB, b" " * MIB),
    "Config is a number": entry(Config=1),
    "Config is null": entry(Config=None),
    "Config is missing from the archive": entry(Config="none.json"),
    "Config is empty": entry(Config=""),
    "Config goes up": entry(Config="../../../../etc/passwd"),
    "Config is absolute": entry(Config="/etc/passwd"),
    "Config is a layer": entry(Config=_ENTRY["Layers"][0]),
    "Config is the manifest": entry(Config="manifest.json"),
    "Layers is a string": entry(Layers="x"),
    "Layers holds numbers": entry(Layers=[1, 2]),
    "Layers is null": entry(Layers=None),
    "Layers is missing a layer": entry(Layers=_ENTRY["Layers"][:1]),
    "Layers has one too many": entry(Layers=[*_ENTRY["Layers"], _ENTRY["Layers"][0]]),
    "Layers are in the wrong order": entry(Layers=_ENTRY["Layers"][::-1]),
    "Layers go up": entry(Layers=["../../etc/passwd", _ENTRY["Layers"][1]]),
    "Layers are absolute": entry(Layers=["/etc/passwd", _ENTRY["Layers"][1]]),
    "Layers are not there": entry(Layers=["none/layer.tar", _ENTRY["Layers"][1]]),
    "a layer is the config": entry(Layers=[_CONFIG, _ENTRY["Layers"][1]]),
    "RepoTags is a string": entry(RepoTags="a:1"),
    "RepoTags holds numbers": entry(RepoTags=[1]),
    "RepoTags holds a bad name": entry(RepoTags=["Bad Name"]),
    "RepoTags holds a digest": entry(RepoTags=["a@sha256:" + "0" * 64]),
    "RepoTags holds a name without a tag": entry(RepoTags=["a"]),
    "RepoTags holds a good and a bad name": entry(RepoTags=["a:1", "b:-"]),
    "the second image is bad": manifest([_ENTRY, {**_ENTRY, "Config": "none.json"}]),
    "many images that are not there": manifest([{"Config": "x", "Layers": []}] * 50_000),
}

CONFIGS: dict[str, Case] = {
    "is empty": config(b""),
    "is no JSON": config(b"{"),
    "is a list": config([]),
    "is null": config(b"null"),
    "is an empty object": config({}),
    "is nested deeply": config(b'{"a":' * 200_000),
    "never ends": lambda: endless(_CONFIG.encode(), 64 * GIB, b"[" * MIB),
    "rootfs is missing": config_with(rootfs=None),
    "rootfs is a string": config_with(rootfs="x"),
    "diff IDs are numbers": config_with(rootfs={"type": "layers", "diff_ids": [1, 2]}),
    "diff IDs are no digests": config_with(rootfs={"type": "layers", "diff_ids": ["a", "b"]}),
    "diff IDs go up": config_with(
        rootfs={"type": "layers", "diff_ids": ["sha256:../../x", PLAIN.diff_ids[1]]}
    ),
    "diff IDs are other layers'": config_with(
        rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64, PLAIN.diff_ids[1]]}
    ),
    "diff IDs are too few": config_with(rootfs={"type": "layers", "diff_ids": [PLAIN.diff_ids[0]]}),
    "diff IDs are many": config_with(
        rootfs={"type": "layers", "diff_ids": [PLAIN.diff_ids[0]] * 20_000}
    ),
    "history is a string": config_with(history="x"),
    "the created time is none": config_with(created="yesterday"),
    "the container config is a string": config_with(config="x"),
}

LINKS: dict[str, Case] = {
    "manifest.json is a link out": files(
        symlink("manifest.json", "/etc/passwd"), without="manifest.json"
    ),
    "manifest.json is a link to itself": files(
        symlink("manifest.json", "manifest.json"), without="manifest.json"
    ),
    "manifest.json is a hard link out": files(
        hard_link("manifest.json", "../../etc/passwd"), without="manifest.json"
    ),
    "manifest.json is a directory": files(
        Entry("manifest.json", kind=b"5"), without="manifest.json"
    ),
    "manifest.json is a device": files(Entry("manifest.json", kind=b"3"), without="manifest.json"),
    "manifest.json is a pipe": files(Entry("manifest.json", kind=b"6"), without="manifest.json"),
    "a layer is a link out": layers_are(symlink("l/layer.tar", "/etc/passwd"), first="l/layer.tar"),
    "a layer is a link up": layers_are(
        symlink("l/layer.tar", "../../../../etc/passwd"), first="l/layer.tar"
    ),
    "a layer is a link to nothing": layers_are(symlink("l/layer.tar", "x"), first="l/layer.tar"),
    "a layer is a link in a loop": layers_are(
        symlink("l/layer.tar", "../m/layer.tar"),
        symlink("m/layer.tar", "../l/layer.tar"),
        first="l/layer.tar",
    ),
    "a layer is a link to itself": layers_are(
        symlink("l/layer.tar", "layer.tar"), first="l/layer.tar"
    ),
    "a layer is a long chain of links": layers_are(
        *(symlink(f"{n}", f"{n + 1}") for n in range(5000)), first="0"
    ),
    "a layer is a hard link out": layers_are(
        hard_link("l/layer.tar", "/etc/passwd"), first="l/layer.tar"
    ),
    "a layer is a directory": layers_are(Entry("l/layer.tar", kind=b"5"), first="l/layer.tar"),
    "a layer lies below a link out": layers_are(symlink("l", "/etc"), first="l/passwd"),
}


def image_of(*layers: bytes) -> Case:
    """An archive that is good in all but what its layers hold."""
    image = make_image(*layers)
    return lambda: tar_of(docker_archive((image, ["victim:1"]), extra=False))


BAD_LAYERS: dict[str, bytes] = {
    "noise": NOISE,
    "text": b"no tar at all\n" * 200,
    "path traversal": layer(file("../../etc/passwd", "x")),
    "path traversal within": layer(file("a/../../../etc/passwd", "x")),
    "absolute path traversal": layer(file("/../../etc/passwd", "x")),
    "hard link up": layer(hard_link("a", "../../etc/passwd")),
    "hard link up from within": layer(hard_link("a/b", "a/../../../etc/passwd")),
    "negative size": header(b"a", base256(-10, 12)) + END,
    "huge size": header(b"a", base256(2**62, 12)) + END,
    "cut in a header": BASE[:700],
    "cut in a file": SECOND[:3000],
    "wrong checksum": header(b"a", 0, checksum=3) + END,
    "PAX that lies": pax(b"99999999 path=x\n") + BASE,
    "gzip, cut": gzip.compress(BASE)[:-100],
}
"""Layers that no engine may take, as part of an image or as a root filesystem to import."""


def bomb_layer() -> Case:
    """An image whose layer is 256 MiB of zeros in 256 KiB, and not what the config names."""

    def build() -> bytes:
        zeros = [header(b"zeros", 256 * MIB), *repeat(bytes(MIB), 256), END]
        parts = {**_FILES, _ENTRY["Layers"][0]: b"".join(compressed(zeros))}
        return tar_of(parts)

    return build


def zstd_bomb() -> Iterator[bytes]:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.compression_level: 1})
    zeros = [header(b"zeros", 256 * MIB), *repeat(bytes(MIB), 256), END]
    for piece in zeros:
        if data := packer.compress(piece):
            yield data
    yield packer.flush()


BOMBS: dict[str, Case] = {
    "a layer of 256 MiB in 256 KiB": bomb_layer(),
    "gzip around 256 MiB": lambda: compressed(repeat(bytes(MIB), 256)),
    "zstd around 256 MiB": zstd_bomb,
    "gzip around a manifest of 1 GiB": lambda: compressed(
        endless(b"manifest.json", GIB, b"[" * MIB)
    ),
    "gzip within gzip": lambda: gzip.compress(gzip.compress(_GOOD)),
}


def cuts() -> dict[str, Case]:
    """A good archive that ends too early, at every place where something new begins."""
    manifest_end = _GOOD.index(_FILES["manifest.json"]) + len(_FILES["manifest.json"])
    first_layer = _GOOD.index(BASE)
    places = {
        "in the first header": 100,
        "after the first header": 512,
        "at the start of a layer": first_layer,
        "in a layer's header": first_layer + 300,
        "in a layer": first_layer + 2000,
        "at the end of a layer": first_layer + len(BASE),
        "before the manifest's header": manifest_end - len(_FILES["manifest.json"]) - 512,
        "at the start of the manifest": manifest_end - len(_FILES["manifest.json"]),
        "in the manifest": manifest_end - 10,
    }
    return {name: then(_GOOD[:place]) for name, place in places.items()}
