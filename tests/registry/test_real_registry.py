from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import DigestMismatch, Unauthorized
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryError, RegistryNotFound
from lamina.registry.hosts import HostRules
from lamina.registry.repository import Repository
from lamina.registry.transport import bytes_body
from tests.real.certificates import make_authority
from tests.real.programs import run
from tests.real.registry import Registry, registry as running_registry
from tests.registry.blobs import Blob, Memory, random_blob
from tests.registry.images import push_image


async def _repository(
    client: RegistryClient, address: str, name: str, credentials: AuthConfig | None = None
) -> Repository:
    return await client.repository(Reference.parse(f"{address}/{name}"), credentials=credentials)


async def test_what_was_pushed_comes_back(client: RegistryClient, registry: Registry) -> None:
    repository = await _repository(client, registry.address, "a/image")
    layer = random_blob(3_000_000, seed=1)
    sent: list[int] = []
    assert await repository.stat(layer.digest) is None
    uploaded = await repository.upload(layer, progress=sent.append)
    assert uploaded.mounted_from is None
    assert sent[-1] == layer.size
    assert sent == sorted(sent)
    assert await repository.stat(layer.digest) == layer.size
    digest = await push_image(repository, layer, "v1")

    resolved = await repository.resolve("v1")
    fetched = await repository.fetch("v1")
    assert (resolved.digest, resolved.size) == (digest, len(fetched.raw))
    assert resolved.media_type == fetched.media_type == mediatype.OCI_MANIFEST
    assert fetched.digest == Digest.of(fetched.raw) == digest
    assert (await repository.fetch(digest)).raw == fetched.raw

    sink = Memory()
    await repository.download(layer.digest, layer.size, sink)
    sink.verify(layer.digest)


async def test_a_blob_goes_into_the_store(
    client: RegistryClient, registry: Registry, tmp_path: Path
) -> None:
    repository = await _repository(client, registry.address, "to/store")
    layer = random_blob(5_000_000, seed=2)
    await repository.upload(layer)
    store = LocalStore(tmp_path)
    async with store.ingest("layer", expected=layer.digest, size=layer.size) as writer:
        await repository.download(layer.digest, layer.size, writer)
        await writer.commit()
    assert (await store.stat(layer.digest)).size == layer.size
    # And out of it again.
    async with store.open(layer.digest) as reader:
        other = await _repository(client, registry.address, "from/store")
        await other.upload(reader)
        assert await other.stat(layer.digest) == layer.size


async def test_a_blob_is_mounted_from_another_repository(
    client: RegistryClient, registry: Registry
) -> None:
    source = await _repository(client, registry.address, "mount/source")
    layer = random_blob(1000, seed=3)
    await source.upload(layer)
    target = await _repository(client, registry.address, "mount/target")
    layer.reads.clear()
    uploaded = await target.upload(layer, mount_from=["mount/nothing", "mount/source"])
    assert uploaded.mounted_from == "mount/source"
    assert layer.reads == []
    assert await target.stat(layer.digest) == layer.size
    other = random_blob(1000, seed=4)
    assert (await target.upload(other, mount_from=["mount/source"])).mounted_from is None
    assert await target.stat(other.digest) == other.size


async def test_bytes_of_unknown_length_and_digest_are_uploaded(
    client: RegistryClient, registry: Registry
) -> None:
    repository = await _repository(client, registry.address, "streamed")
    layer = random_blob(2_000_000, seed=5)
    uploader = await repository.uploader()
    upload = await uploader.begin()
    body = bytes_body(b"", "application/octet-stream")
    upload = await uploader.append(upload, type(body)(layer.chunks, None))
    await uploader.finish(upload, layer.digest)
    assert await repository.stat(layer.digest) == layer.size


async def test_a_registry_refuses_bytes_of_another_digest(
    client: RegistryClient, registry: Registry
) -> None:
    repository = await _repository(client, registry.address, "wrong")
    uploader = await repository.uploader()
    upload = await uploader.begin()
    blob = Blob(b"some bytes")
    with pytest.raises(
        RegistryError, match="digest invalid: provided digest did not match"
    ) as caught:
        await uploader.finish(
            upload, Digest.of(b"others"), bytes_body(blob.data, "application/octet-stream")
        )
    assert caught.value.code == "DIGEST_INVALID"
    await uploader.cancel(await uploader.begin())


async def test_what_is_not_there_is_told_in_dockers_words(
    client: RegistryClient, registry: Registry
) -> None:
    repository = await _repository(client, registry.address, "nothing/here")
    for operation in (repository.resolve, repository.fetch):
        with pytest.raises(RegistryNotFound, match=r"^manifest unknown: manifest unknown$"):
            await operation("v1")
    with pytest.raises(RegistryNotFound, match=r"^name unknown: repository name not known"):
        await repository.tags()
    with pytest.raises(RegistryNotFound, match=r"^blob unknown: blob unknown to registry$"):
        await repository.download(Digest.of(b"x"), 1, Memory())


async def test_every_tag_is_listed(client: RegistryClient, registry: Registry) -> None:
    repository = await _repository(client, registry.address, "many/tags")
    await push_image(repository, Blob(b"layer"), "t0")
    raw = (await repository.fetch("t0")).raw
    for number in range(1, 12):
        await repository.put(raw, mediatype.OCI_MANIFEST, tag=f"t{number}")
    assert sorted(await repository.tags()) == sorted(f"t{number}" for number in range(12))


async def test_skopeo_and_this_client_read_each_other(
    client: RegistryClient, registry: Registry, tmp_path: Path
) -> None:
    repository = await _repository(client, registry.address, "with/skopeo")
    layer = Blob((tmp_path / "empty").name.encode() * 5000)
    digest = await push_image(repository, layer, "ours")
    image = f"docker://{registry.address}/with/skopeo"
    inspected = run(["skopeo", "inspect", "--tls-verify=false", "--raw", f"{image}:ours"])
    assert Digest.of(inspected.encode()) == digest
    copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]
    run([*copy, "--preserve-digests", f"{image}:ours", f"{image}:theirs"])
    assert (await repository.fetch("theirs")).digest == digest


async def test_a_registry_with_passwords_lets_in_who_has_one(client: RegistryClient) -> None:
    with running_registry(user="someone", password="right") as running:
        good = AuthConfig(username="someone", password="right")
        repository = await _repository(client, running.address, "private", good)
        digest = await push_image(repository, Blob(b"secret"), "v1")
        assert (await repository.resolve("v1")).digest == digest

        stranger = await _repository(client, running.address, "private")
        with pytest.raises(Unauthorized, match=r"^no basic auth credentials$"):
            await stranger.resolve("v1")
        bad = AuthConfig(username="someone", password="wrong")
        liar = await _repository(client, running.address, "private", bad)
        with pytest.raises(Unauthorized, match=r"^unauthorized: authentication required$"):
            await liar.fetch("v1")


async def test_a_registrys_own_authority_is_trusted_where_it_is_configured(
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    authority = make_authority(keys)
    with running_registry(tls=authority) as running:
        host = tmp_path / "certs" / running.address
        host.mkdir(parents=True)
        rules = HostRules(certificates=(tmp_path / "certs",))
        (host / "ca.crt").write_bytes(authority.ca.read_bytes())
        async with RegistryClient(RegistryConfig(hosts=rules)) as client:
            repository = await _repository(client, running.address, "tls")
            digest = await push_image(repository, Blob(b"over tls"), "v1")
            assert (await repository.fetch("v1")).digest == digest
            # Another authority, with the same name, put there later: it is not the one that signed.
            other = tmp_path / "other"
            other.mkdir()
            (host / "ca.crt").write_bytes(make_authority(other).ca.read_bytes())
            again = await _repository(client, running.address, "tls")
            with pytest.raises(ConnectionFailed, match=r"x509: certificate signed by unknown"):
                await again.fetch("v1")
        # Loopback without an authority of its own is insecure, as for dockerd.
        async with RegistryClient(RegistryConfig()) as client:
            repository = await _repository(client, running.address, "tls")
            assert (await repository.fetch("v1")).digest == digest


async def test_a_read_only_registry_refuses_a_push(client: RegistryClient) -> None:
    with running_registry(read_only=True) as running:
        repository = await _repository(client, running.address, "x")
        with pytest.raises(RegistryError, match="HTTP 405"):
            await repository.upload(Blob(b"x"))


async def test_a_wrong_manifest_is_never_taken(client: RegistryClient, registry: Registry) -> None:
    repository = await _repository(client, registry.address, "changed")
    digest = await push_image(repository, Blob(b"layer"), "v1")
    blobs = registry.storage / "docker/registry/v2/blobs/sha256"
    stored = blobs / digest.hex[:2] / digest.hex / "data"
    stored.write_bytes(stored.read_bytes().replace(b"amd64", b"arm64") + b" ")
    with pytest.raises((DigestMismatch, RegistryError)):
        await repository.fetch(digest)
