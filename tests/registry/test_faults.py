"""Everything a network or a server does wrong ends in success or in a clear error."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import (
    CorruptData,
    DigestMismatch,
    InvalidManifest,
    LaminaError,
    SizeMismatch,
)
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.failure import RegistryError, RegistryNotFound, TooManyRequests
from lamina.registry.repository import Repository
from tests.registry.blobs import Blob, Memory, random_blob
from tests.registry.clock import TestClock
from tests.registry.faults import Fault, FaultProxy
from tests.registry.images import manifest_of
from tests.registry.spec_registry import SpecRegistry

LAYER = random_blob(2_000_000, seed=7)
DOWNLOAD = f"GET /v2/faulty/blobs/{LAYER.digest}"
SEND = "PUT /v2/faulty/blobs/uploads/"


@pytest.fixture
async def repository(client: RegistryClient, proxy: FaultProxy) -> Repository:
    """A repository behind the proxy which holds LAYER and a tag v1."""
    found = await client.repository(Reference.parse(f"{proxy.address}/faulty"))
    if await found.stat(LAYER.digest) is None:
        await found.upload(LAYER)
        config = Blob(b"{}")
        await found.upload(config)
        await found.put(manifest_of(config), mediatype.OCI_MANIFEST, tag="v1")
    proxy.seen.clear()
    return found


@pytest.fixture
async def scripted(client: RegistryClient, script: FaultProxy) -> Repository:
    """A repository of a server which only does what a test says, beside an open ``/v2/``."""
    return await client.repository(Reference.parse(f"{script.address}/scripted"))


async def _download(repository: Repository, sink: Memory | None = None) -> Memory:
    sink = sink or Memory()
    await repository.download(LAYER.digest, LAYER.size, sink)
    return sink


class TestDownload:
    async def test_goes_on_where_the_connection_broke(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, cut=700_000), Fault(on=DOWNLOAD, cut=500_000)]
        sink = await _download(repository)
        sink.verify(LAYER.digest)
        ranges = [seen.headers.get("Range") for seen in proxy.requests(DOWNLOAD)]
        assert len(ranges) == 3
        assert ranges[0] is None
        starts = [int(text.removeprefix("bytes=").removesuffix("-")) for text in ranges[1:] if text]
        # What had arrived is not asked for again; some of it may have been lost on the way.
        assert 0 < starts[0] <= 700_000
        assert starts[0] < starts[1] <= 1_200_000
        assert len(clock.waits) == 2

    async def test_goes_on_in_another_process(
        self, repository: Repository, proxy: FaultProxy, tmp_path: Path
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, cut=50_000, times=99)]
        store = LocalStore(tmp_path)
        async with store.ingest("k", expected=LAYER.digest, size=LAYER.size) as writer:
            with pytest.raises(ConnectionFailed, match="unexpected EOF"):
                await repository.download(LAYER.digest, LAYER.size, writer)
        proxy.faults = []
        proxy.seen.clear()
        async with store.ingest("k", expected=LAYER.digest, size=LAYER.size) as writer:
            begun = writer.offset
            assert 0 < begun < LAYER.size
            await repository.download(LAYER.digest, LAYER.size, writer)
            await writer.commit()
        (request,) = proxy.requests(DOWNLOAD)
        assert request.headers["Range"] == f"bytes={begun}-"

    async def test_a_stall_is_ended_and_the_rest_fetched(
        self, repository: Repository, impatient: RegistryClient, proxy: FaultProxy
    ) -> None:
        assert await repository.stat(LAYER.digest) is not None
        proxy.faults = [Fault(on=DOWNLOAD, stall=600_000)]
        again = await impatient.repository(Reference.parse(f"{proxy.address}/faulty"))
        (await _download(again)).verify(LAYER.digest)
        # On a slow machine what is no stall may have been taken for one.
        stalled, rest, *_ = proxy.requests(DOWNLOAD)
        assert "Range" not in stalled.headers
        assert "Range" in rest.headers

    async def test_a_registry_without_ranges_is_read_again(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, cut=700_000), Fault(on=DOWNLOAD, forget_range=True)]
        (await _download(repository)).verify(LAYER.digest)

    async def test_a_refused_range_is_read_from_the_beginning(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, status=416)]
        sink = await _download(repository, Memory(LAYER.data[:1000]))
        sink.verify(LAYER.digest)
        assert len(proxy.requests(DOWNLOAD)) == 2

    async def test_a_range_that_begins_elsewhere_is_not_taken(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        proxy.faults = [
            Fault(on=DOWNLOAD, headers={"Content-Range": f"bytes 5-{LAYER.size - 1}/{LAYER.size}"})
        ]
        (await _download(repository, Memory(LAYER.data[:1000]))).verify(LAYER.digest)

    async def test_nothing_is_asked_for_when_all_is_there(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        await _download(repository, Memory(LAYER.data))
        assert proxy.seen == []

    async def test_a_flipped_byte_never_becomes_a_blob(
        self, repository: Repository, proxy: FaultProxy, tmp_path: Path
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, flip=1_000_000)]
        store = LocalStore(tmp_path)
        async with store.ingest("k", expected=LAYER.digest, size=LAYER.size) as writer:
            await repository.download(LAYER.digest, LAYER.size, writer)
            with pytest.raises(DigestMismatch):
                await writer.commit()
        async with store.ingest("k", expected=LAYER.digest, size=LAYER.size) as writer:
            assert writer.offset == 0
            await repository.download(LAYER.digest, LAYER.size, writer)
            await writer.commit()

    @pytest.mark.parametrize("more", [1, 5000, -5000])
    async def test_a_wrong_length_is_noticed_and_tried_once_more(
        self, repository: Repository, proxy: FaultProxy, *, more: int
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, length=more)]
        (await _download(repository)).verify(LAYER.digest)
        proxy.faults = [Fault(on=DOWNLOAD, length=more, times=2)]
        with pytest.raises(SizeMismatch, match=f"expected {LAYER.size} bytes"):
            await _download(repository)

    async def test_an_endless_blob_is_cut_off(
        self, scripted: Repository, script: FaultProxy
    ) -> None:
        script.faults = [
            Fault(on="GET /v2/$", status=200, times=9),
            Fault(on="blobs", status=200, body=b"x" * 5000, times=9),
        ]
        sink = Memory()
        with pytest.raises(SizeMismatch):
            await scripted.download(Digest.of(b""), 1000, sink)
        assert sink.offset <= 1000

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    async def test_a_server_out_of_breath_is_asked_again(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock, *, status: int
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, status=status, headers={"Retry-After": "7"}, times=2)]
        (await _download(repository)).verify(LAYER.digest)
        assert clock.waits == [7, 7]

    async def test_a_lasting_error_is_told(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, status=503, times=99)]
        with pytest.raises(RegistryError, match="503 Service Unavailable"):
            await _download(repository)
        assert len(proxy.requests(DOWNLOAD)) == 5
        assert clock.waits == sorted(clock.waits)

    async def test_a_blob_that_is_gone_is_not_asked_for_again(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, status=404)]
        with pytest.raises(RegistryNotFound):
            await _download(repository)
        assert clock.waits == []

    async def test_slow_progress_is_progress(
        self, repository: Repository, proxy: FaultProxy, client: RegistryClient
    ) -> None:
        big = random_blob(14_000_000, seed=8)
        await repository.upload(big)
        proxy.faults = [Fault(on="GET .*blobs", cut=2_200_000, times=99)]
        sink = Memory()
        await repository.download(big.digest, big.size, sink)
        sink.verify(big.digest)
        assert len(proxy.requests("GET .*blobs")) > client.config.retries.attempts

    async def test_a_caller_may_wait_in_its_own_way(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        waits: list[float] = []

        async def waiting(seconds: float) -> None:
            waits.append(seconds)

        proxy.faults = [Fault(on=DOWNLOAD, cut=10)]
        await repository.download(LAYER.digest, LAYER.size, Memory(), waiting=waiting)
        assert len(waits) == 1
        assert clock.waits == []

    async def test_a_cancelled_download_ends_at_once(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, stall=100_000)]
        reached = asyncio.Event()

        class Watched(Memory):
            async def write(self, data: bytes) -> None:
                await super().write(data)
                reached.set()

        task = asyncio.create_task(repository.download(LAYER.digest, LAYER.size, Watched()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_an_error_of_the_disk_is_not_taken_for_one_of_the_network(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        class Full(Memory):
            async def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device", len(data))

        with pytest.raises(OSError, match="No space left"):
            await _download(repository, Full())
        assert len(proxy.requests(DOWNLOAD)) == 1


class TestUpload:
    @pytest.mark.parametrize("after", [0, 100, 1_300_000])
    async def test_a_broken_one_is_begun_anew_where_the_registry_forgets_it(
        self, repository: Repository, proxy: FaultProxy, *, after: int
    ) -> None:
        blob = random_blob(2_500_000, seed=after + 11)
        proxy.faults = [Fault(on=SEND, cut_request=after)]
        await repository.upload(blob)
        assert await repository.stat(blob.digest) == blob.size
        assert blob.reads == [0, 0]

    @pytest.mark.parametrize("after", [100, 1_300_000])
    async def test_a_broken_one_goes_on_where_the_registry_keeps_it(
        self, client: RegistryClient, *, after: int
    ) -> None:
        blob = random_blob(2_500_000, seed=after + 12)
        sent: list[int] = []
        async with (
            SpecRegistry().running() as registry,
            FaultProxy(registry.address).running() as proxy,
        ):
            proxy.faults = [
                Fault(on="PUT", cut_request=after),
                Fault(on="PATCH", cut_request=100),
            ]
            repository = await client.repository(Reference.parse(f"{proxy.address}/x"))
            await repository.upload(blob, progress=sent.append)
            assert registry.blobs == {blob.digest: blob.data}
        assert blob.reads == [0, after, after + 100]
        assert [seen.method for seen in proxy.seen if seen.path != "/v2/"] == [
            "POST",
            "PUT",
            "GET",
            "PATCH",
            "GET",
            "PATCH",
            "PUT",
        ]
        assert sent[-1] == blob.size

    async def test_a_lost_upload_is_begun_anew(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        blob = random_blob(1_000_000, seed=21)
        body = b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"x"}]}'
        proxy.faults = [Fault(on=SEND, status=404, body=body)]
        await repository.upload(blob)
        assert await repository.stat(blob.digest) == blob.size
        assert len(proxy.requests("POST")) == 2

    async def test_a_registry_that_cannot_tell_how_far_it_came_gets_all_again(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        blob = random_blob(1_000_000, seed=22)
        proxy.faults = [
            Fault(on=SEND, cut_request=400_000),
            Fault(on="GET /v2/faulty/blobs/uploads", status=405),
        ]
        await repository.upload(blob)
        assert await repository.stat(blob.digest) == blob.size
        assert blob.reads == [0, 0]

    @pytest.mark.parametrize("status", [429, 500, 503])
    @pytest.mark.parametrize("request_line", ["POST", "PUT .*uploads"])
    async def test_a_server_out_of_breath_is_asked_again(
        self, repository: Repository, proxy: FaultProxy, *, request_line: str, status: int
    ) -> None:
        blob = random_blob(100_000, seed=status)
        proxy.faults = [Fault(on=request_line, status=status, times=2)]
        await repository.upload(blob)
        assert await repository.stat(blob.digest) == blob.size

    async def test_a_request_that_is_too_large_becomes_several(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        blob = random_blob(40 << 20, seed=31)
        proxy.faults = [Fault(on=SEND, status=413)]
        await repository.upload(blob)
        assert await repository.stat(blob.digest) == blob.size
        sent = [seen.headers["Content-Range"] for seen in proxy.requests("PATCH")]
        assert sent == [f"0-{(32 << 20) - 1}", f"{32 << 20}-{blob.size - 1}"]

    async def test_a_source_that_fails_is_not_taken_for_the_network(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        class Broken(Blob):
            async def chunks(
                self, offset: int = 0, length: int | None = None
            ) -> AsyncIterator[bytes]:
                yield self.data[:1000]
                raise CorruptData(f"shorter than {length or offset}")

        with pytest.raises(CorruptData, match="shorter"):
            await repository.upload(Broken(LAYER.data))
        assert len(proxy.requests(SEND)) <= 1

    async def test_a_lasting_error_is_told(self, repository: Repository, proxy: FaultProxy) -> None:
        proxy.faults = [Fault(on=SEND, status=500, times=99)]
        with pytest.raises(RegistryError, match="500 Internal Server Error"):
            await repository.upload(random_blob(1000, seed=41))
        assert len(proxy.requests(SEND)) == 5

    async def test_a_denial_is_told_at_once(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        body = (
            b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
        )
        proxy.faults = [Fault(on="POST", status=403, body=body, times=9)]
        with pytest.raises(RegistryError) as caught:
            await repository.upload(LAYER)
        assert str(caught.value) == "denied: requested access to the resource is denied"
        assert clock.waits == []


class TestManifest:
    PATH = "GET /v2/faulty/manifests/v1"

    async def test_a_changed_manifest_is_refused(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        proxy.faults = [Fault(on=self.PATH, flip=30)]
        with pytest.raises(DigestMismatch):
            await repository.fetch("v1")

    async def test_a_broken_answer_is_asked_for_again(
        self, repository: Repository, proxy: FaultProxy
    ) -> None:
        digest = (await repository.fetch("v1")).digest
        proxy.faults = [Fault(on="manifests", status=500), Fault(on="HEAD", status=502)]
        assert (await repository.fetch("v1")).digest == digest
        assert (await repository.resolve("v1")).digest == digest

    async def test_an_endless_manifest_is_cut_off(
        self, scripted: Repository, script: FaultProxy
    ) -> None:
        script.faults = [
            Fault(on="GET /v2/$", status=200),
            Fault(on="manifests", status=200, body=b" " * (5 << 20)),
        ]
        with pytest.raises(InvalidManifest, match="larger than"):
            await scripted.fetch("v1")

    async def test_a_registry_without_digests_is_read(
        self, scripted: Repository, script: FaultProxy
    ) -> None:
        raw = b'{"mediaType":"application/vnd.oci.image.index.v1+json"}'
        script.faults = [
            Fault(on="GET /v2/$", status=200),
            Fault(
                on="manifests",
                status=200,
                body=raw,
                times=3,
                headers={"Content-Type": "application/json; charset=utf-8"},
            ),
        ]
        found = await scripted.resolve("v1")
        assert found.digest == Digest.of(raw)
        assert found.media_type == mediatype.OCI_INDEX

    async def test_a_rate_limit_is_told_with_the_registrys_words(
        self, scripted: Repository, script: FaultProxy, clock: TestClock
    ) -> None:
        body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your limit."}]}'
        script.faults = [
            Fault(on="GET /v2/$", status=200),
            Fault(on="GET", status=429, body=body, headers={"Retry-After": "86400"}),
        ]
        with pytest.raises(TooManyRequests, match=r"^toomanyrequests: You have reached") as caught:
            await scripted.fetch("v1")
        # Nobody waits a day for it.
        assert caught.value.retry_after == 86400
        assert clock.waits == []

    async def test_a_retry_after_is_honoured(
        self, repository: Repository, proxy: FaultProxy, clock: TestClock
    ) -> None:
        proxy.faults = [Fault(on=self.PATH, status=429, headers={"Retry-After": "11"})]
        await repository.fetch("v1")
        assert clock.waits == [11]


class TestRedirect:
    async def test_a_blob_is_followed_to_another_server_without_the_secret(
        self, repository: Repository, proxy: FaultProxy, script: FaultProxy
    ) -> None:
        proxy.faults = [
            Fault(
                on=DOWNLOAD,
                status=307,
                headers={"Location": f"http://{script.address}/stored?sig=%2Fa%2Bb"},
            )
        ]
        script.faults = [Fault(on="GET /stored", status=200, body=LAYER.data)]
        (await _download(repository)).verify(LAYER.digest)
        (request,) = script.seen
        assert request.path == "/stored?sig=%2Fa%2Bb"
        assert "Authorization" not in request.headers

    async def test_a_loop_ends(self, repository: Repository, proxy: FaultProxy) -> None:
        path = f"/v2/faulty/blobs/{LAYER.digest}"
        proxy.faults = [Fault(on=DOWNLOAD, status=302, headers={"Location": path}, times=99)]
        with pytest.raises(ConnectionFailed, match="stopped after 10 redirects"):
            await _download(repository)
        assert len(proxy.requests(DOWNLOAD)) == 11

    @pytest.mark.parametrize("location", ["ftp://x/y", "file:///etc/passwd", "http://[bad"])
    async def test_a_redirect_to_nowhere_is_told(
        self, repository: Repository, proxy: FaultProxy, location: str
    ) -> None:
        proxy.faults = [Fault(on=DOWNLOAD, status=307, headers={"Location": location})]
        with pytest.raises(ConnectionFailed):
            await _download(repository)


async def test_a_registry_that_is_not_there_is_told_as_dockerd_tells_it(
    client: RegistryClient,
) -> None:
    repository = await client.repository(Reference.parse("127.0.0.1:1/x"))
    with pytest.raises(ConnectionFailed) as caught:
        await repository.fetch("v1")
    assert str(caught.value) == (
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    )
    assert caught.value.trouble is Trouble.DIAL


# DNS has no form for the second one.
@pytest.mark.parametrize("host", ["nohost.invalid", "a" * 64 + ".invalid"])
async def test_a_name_that_does_not_exist_is_told(client: RegistryClient, host: str) -> None:
    repository = await client.repository(Reference.parse(f"{host}/x"))
    with pytest.raises(ConnectionFailed) as caught:
        await repository.fetch("v1")
    assert str(caught.value) == f'Get "https://{host}/v2/": dial tcp: lookup {host}: no such host'
    assert caught.value.trouble is Trouble.DIAL


@pytest.mark.parametrize("port", ["65536", "1" * 40])
async def test_a_port_that_there_is_not_is_told(client: RegistryClient, port: str) -> None:
    with pytest.raises(LaminaError) as caught:
        await client.repository(Reference.parse(f"127.0.0.1:{port}/x"))
    assert str(caught.value) == (
        f'Get "https://127.0.0.1:{port}/v2/": dial tcp: address {port}: invalid port'
    )
