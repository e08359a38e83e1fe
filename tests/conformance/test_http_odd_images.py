"""What registries may have that is no image, or none for this machine: told as dockerd tells it."""

import asyncio
import bz2
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lamina.oci import mediatype
from lamina.oci.digest import Digest
from tests.conformance.wire import Ask, Heard, send
from tests.real.images import gzipped, small_image
from tests.real.lamina_daemon import LaminaDaemon
from tests.registry.faults import Fault, FaultProxy

Sockets = tuple[Path, Path]

_IMAGE = small_image("odd")
_LAYERS = [gzipped(layer) for layer in _IMAGE.layers]


@dataclass(frozen=True)
class Served:
    """A manifest and the blobs it names, as a registry gives them."""

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    others: tuple["Served", ...] = ()

    @property
    def descriptor(self) -> dict[str, Any]:
        return described(self.manifest, self.media_type)


def described(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def image(
    config: bytes = _IMAGE.config,
    *,
    kind: str = mediatype.OCI_MANIFEST,
    config_type: str = mediatype.OCI_CONFIG,
    layer_type: str = mediatype.OCI_LAYER_GZIP,
    layers: list[bytes] = _LAYERS,
) -> Served:
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": described(config, config_type),
        "layers": [described(layer, layer_type) for layer in layers],
    }
    return Served(json.dumps(document).encode(), kind, (config, *layers))


def index(*members: tuple[Served, Mapping[str, Any]]) -> Served:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [{**served.descriptor, **more} for served, more in members],
    }
    others = tuple(served for served, _ in members)
    return Served(json.dumps(document).encode(), mediatype.OCI_INDEX, others=others)


def of_windows() -> bytes:
    return json.dumps({**json.loads(_IMAGE.config), "os": "windows"}).encode()


_HOST = {"platform": {"os": "linux", "architecture": "amd64"}}
_HELM = "application/vnd.cncf.helm.config.v1+json"
_AS_DOCKERD = {
    "an artifact": image(b"{}", config_type=_HELM),
    "an artifact of Docker's kind": image(b"{}", kind=mediatype.DOCKER_MANIFEST, config_type=_HELM),
    "an index of artifacts": index((image(b"{}", config_type=_HELM), _HOST)),
    "an image beside its attestation": index(
        (image(), _HOST),
        (
            image(b"{}", layers=[b"{}"], layer_type="application/vnd.in-toto+json"),
            {
                "platform": {"os": "unknown", "architecture": "unknown"},
                "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
            },
        ),
    ),
    "an empty index": index(),
    "types of Docker": image(
        kind=mediatype.DOCKER_MANIFEST,
        config_type=mediatype.DOCKER_CONFIG,
        layer_type=mediatype.DOCKER_LAYER_GZIP,
    ),
    "another system": image(of_windows()),
    "too few layers": image(layers=_LAYERS[1:]),
    "a layer that is no tar": image(layers=[b"x" * 600, *_LAYERS[1:]]),
    "a layer of another content": image(layers=[_LAYERS[1], *_LAYERS[1:]]),
}
_OWN_WORDS = {
    "a manifest of schema 1": (
        Served(b'{"schemaVersion":1,"fsLayers":[]}', mediatype.DOCKER_SCHEMA1_SIGNED),
        400,
        "schema 1 support has been removed",
    ),
    "no manifest": (Served(b"<html>", "text/html"), 500, "invalid manifest"),
    "a foreign layer": (
        image(layer_type=mediatype.DOCKER_FOREIGN_LAYER_GZIP),
        200,
        "is a foreign layer",
    ),
    "a layer in bzip2": (
        image(layers=[bz2.compress(_IMAGE.layers[0]), *_LAYERS[1:]]),
        200,
        "layers compressed with bzip2 have no type",
    ),
}


def faults(served: Served, tag: str) -> list[Fault]:
    """The answers of a registry that has this."""
    found = [Fault(on="^GET /v2/$", status=200, times=99)]
    for manifest, names in [(served, [tag])] + [(other, []) for other in served.others]:
        digest = str(Digest.of(manifest.manifest))
        for name in [*names, digest]:
            headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": digest}
            found.append(
                Fault(
                    on=f"/manifests/{name}$",
                    status=200,
                    headers=headers,
                    body=manifest.manifest,
                    times=99,
                )
            )
        found += [
            Fault(on=f"/blobs/{Digest.of(blob)}$", status=200, body=blob, times=99)
            for blob in manifest.blobs
        ]
    return found


async def pull(socket: Path, served: Served) -> Heard:
    async with FaultProxy(None).running() as registry:
        registry.faults = faults(served, "1")
        ask = Ask("POST", f"/images/create?fromImage={registry.address}/odd/image&tag=1")
        return await asyncio.to_thread(send, socket, ask)


@pytest.mark.parametrize("odd", _AS_DOCKERD)
async def test_as_dockerd_takes_it(servers: Sockets, odd: str) -> None:
    """The status, and how it ends: dockerd finds some things out later than Lamina does."""
    ends = []
    for socket in servers:
        heard = await pull(socket, _AS_DOCKERD[odd])
        last = heard.messages[-1]
        if "status" in last:
            last["status"] = last["status"].rpartition(" for ")[0]
        ends.append((heard.status, last))
    assert ends[1] == ends[0]


@pytest.mark.parametrize("odd", _OWN_WORDS)
async def test_what_is_refused_in_other_words(lamina_daemon: LaminaDaemon, odd: str) -> None:
    served, status, words = _OWN_WORDS[odd]
    heard = await pull(lamina_daemon.socket, served)
    last = heard.messages[-1]
    assert heard.status == status
    assert words in last.get("error", last.get("message", ""))
