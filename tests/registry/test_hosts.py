"""Mirrors, insecure registries, certificates and proxies, with real servers behind them."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from lamina.errors import Forbidden, InvalidParameter
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient, RegistryConfig, Resolver, system_resolver
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryNotFound
from lamina.registry.hosts import HostRules
from lamina.registry.proxies import Proxies
from lamina.registry.retry import RetryPolicy
from lamina.registry.transport import Timeouts
from tests.real.certificates import Authority
from tests.real.registry import Registry
from tests.registry.blobs import Memory, random_blob
from tests.registry.clock import TestClock
from tests.registry.faults import Fault, FaultProxy
from tests.registry.images import push_image


class Keys:
    """A `CredentialSource` of the tests."""

    def __init__(self, **kept: AuthConfig) -> None:
        self.kept = kept
        self.asked: list[str] = []

    async def find(self, registry: str) -> AuthConfig | None:
        self.asked.append(registry)
        return self.kept.get(registry)


def _client(
    rules: HostRules,
    *,
    clock: TestClock | None = None,
    keys: Keys | None = None,
    resolver: Resolver = system_resolver,
    logger: logging.Logger | None = None,
) -> RegistryClient:
    config = RegistryConfig(
        hosts=rules, timeouts=Timeouts(connect=5), retries=RetryPolicy(attempts=2)
    )
    return RegistryClient(
        config,
        clock=clock or TestClock(),
        credentials=keys,
        resolver=resolver,
        logger=logger,
    )


class TestMirror:
    async def test_serves_any_registry_and_is_never_pushed_to(
        self, registry: Registry, proxy: FaultProxy, client: RegistryClient
    ) -> None:
        layer = random_blob(100_000, seed=51)
        origin = await client.repository(Reference.parse(f"{registry.address}/mirrored"))
        digest = await push_image(origin, layer, "v1")
        rules = HostRules(mirrors={"reg.invalid": (f"http://{proxy.address}",)})
        async with _client(rules) as mirrored:
            repository = await mirrored.repository(Reference.parse("reg.invalid/mirrored"))
            assert (await repository.resolve("v1")).digest == digest
            assert (await repository.fetch(digest)).digest == digest
            sink = Memory()
            await repository.download(layer.digest, layer.size, sink)
            sink.verify(layer.digest)
            assert await repository.tags() == ["v1"]
            with pytest.raises(ConnectionFailed, match=r"lookup reg\.invalid: no such host"):
                await repository.upload(layer)
        assert {seen.method for seen in proxy.seen} == {"GET", "HEAD"}

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(on="", status=404, times=99),
            Fault(on="", status=500, times=99),
            Fault(on="(manifests|blobs)", status=429, times=99),
            Fault(on="(manifests|blobs)", cut=0, times=99),
            Fault(on="(manifests|blobs)", flip=3, times=99),
        ],
    )
    async def test_one_that_fails_is_passed_over(
        self, registry: Registry, proxy: FaultProxy, client: RegistryClient, *, fault: Fault
    ) -> None:
        clock = TestClock()
        layer = random_blob(50_000, seed=52)
        origin = await client.repository(Reference.parse(f"{registry.address}/behind"))
        digest = await push_image(origin, layer, "v1")
        proxy.faults = [fault]
        rules = HostRules(
            mirrors={registry.address: ("http://127.0.0.1:1", f"http://{proxy.address}")}
        )
        async with _client(rules, clock=clock) as mirrored:
            repository = await mirrored.repository(Reference.parse(f"{registry.address}/behind"))
            assert (await repository.fetch("v1")).digest == digest
            sink = Memory()
            await repository.download(layer.digest, layer.size, sink)
            assert sink.offset == layer.size
        assert proxy.seen
        # With another host to ask, none is waited for.
        assert clock.waits == []

    async def test_a_download_goes_on_at_the_next_host(
        self, registry: Registry, proxy: FaultProxy, client: RegistryClient
    ) -> None:
        layer = random_blob(1_000_000, seed=53)
        origin = await client.repository(Reference.parse(f"{registry.address}/half"))
        await origin.upload(layer)
        proxy.faults = [Fault(on="blobs", cut=400_000, times=99)]
        rules = HostRules(mirrors={registry.address: (f"http://{proxy.address}",)})
        clock = TestClock()
        async with _client(rules, clock=clock) as mirrored:
            repository = await mirrored.repository(Reference.parse(f"{registry.address}/half"))
            sink = Memory()
            await repository.download(layer.digest, layer.size, sink)
            sink.verify(layer.digest)
        assert len(proxy.requests("blobs")) == 1
        assert clock.waits == []

    async def test_never_sees_the_registrys_credentials(self, script: FaultProxy) -> None:
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        script.faults = [
            Fault(on="GET /v2/$", status=401, headers=challenge),
            Fault(on="manifests", status=200, body=b"{}", times=9),
        ]
        own = AuthConfig(username="hub", password="secret")
        keys = Keys(**{script.address: AuthConfig(username="mirror", password="m")})
        rules = HostRules(mirrors={"docker.io": (f"http://{script.address}",)})
        async with _client(rules, keys=keys) as client:
            repository = await client.repository(Reference.parse("busybox"), credentials=own)
            await repository.fetch("latest")
        (request,) = script.requests("manifests")
        assert request.headers["Authorization"] == "Basic bWlycm9yOm0="
        assert keys.asked == [script.address]

    async def test_of_a_hosts_toml_is_told_whom_it_stands_for(
        self, script: FaultProxy, tmp_path: Path
    ) -> None:
        directory = tmp_path / "ghcr.io"
        directory.mkdir()
        (directory / "hosts.toml").write_text(
            f'[host."http://{script.address}/prefix"]\ncapabilities = ["pull"]\n'
            f'[host."http://{script.address}/prefix".header]\nx-key = "value"\n'
        )
        script.faults = [Fault(on="", status=200, body=b"{}", times=9)]
        async with _client(HostRules(certificates=(tmp_path,))) as client:
            repository = await client.repository(Reference.parse("ghcr.io/a/b"))
            await repository.fetch("v1")
            # It may pull, and says nothing of tags; the registry itself is out of reach here.
            with pytest.raises(ConnectionFailed, match=r"ghcr\.io"):
                await repository.resolve("v1")
        assert [seen.path for seen in script.seen] == [
            "/prefix/v2/?ns=ghcr.io",
            "/prefix/v2/a/b/manifests/v1?ns=ghcr.io",
        ]
        assert script.seen[0].headers["x-key"] == "value"


class TestInsecure:
    async def test_what_was_reached_in_the_clear_is_asked_so_again(
        self, registry: Registry, client: RegistryClient, clock: TestClock
    ) -> None:
        reference = Reference.parse(f"{registry.address}/x")
        assert [e.scheme for e in await client.endpoints(registry.address)] == ["https", "http"]
        with pytest.raises(RegistryNotFound):
            await (await client.repository(reference)).fetch("v1")
        assert [e.scheme for e in await client.endpoints(registry.address)] == ["http", "https"]
        clock.now += 601
        assert [e.scheme for e in await client.endpoints(registry.address)] == ["https", "http"]

    async def test_a_plain_registry_is_tried_over_tls_once(
        self, registry: Registry, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        # The product's own may have been set up otherwise by then.
        async with _client(HostRules(), logger=logging.getLogger("test")) as client:
            repository = await client.repository(Reference.parse(f"{registry.address}/x"))
            for _ in range(3):
                with pytest.raises(RegistryNotFound):
                    await repository.fetch("v1")
        told = [message for message in caplog.messages if "asking the next host" in message]
        assert len(told) == 1

    async def test_a_name_for_loopback_is_insecure(self) -> None:
        asked = []

        async def resolver(name: str) -> list[str]:
            asked.append(name)
            return ["127.0.0.1"] if name == "reg.test" else ["192.0.2.1"]

        async with _client(HostRules(), resolver=resolver) as client:
            for _ in range(2):
                schemes = [e.scheme for e in await client.endpoints("reg.test:5000")]
                assert schemes == ["https", "http"]
            assert [e.scheme for e in await client.endpoints("other.test")] == ["https"]
        assert asked == ["reg.test", "other.test"]

    async def test_a_secure_registry_is_never_asked_in_the_clear(self, script: FaultProxy) -> None:
        async def resolver(name: str) -> list[str]:
            return [f"192.0.2.{len(name)}"]

        proxies = Proxies(http=f"http://{script.address}", https=f"http://{script.address}")
        config = RegistryConfig(proxies=proxies, retries=RetryPolicy(attempts=1))
        async with RegistryClient(config, clock=TestClock(), resolver=resolver) as client:
            repository = await client.repository(Reference.parse("reg.test/x"))
            with pytest.raises(ConnectionFailed):
                await repository.fetch("v1")
        # The proxy was asked for a tunnel, which it does not give.
        assert [seen.method for seen in script.seen] == ["CONNECT"]

    async def test_a_plain_registry_is_reached_through_a_proxy(self, script: FaultProxy) -> None:
        script.faults = [Fault(on="", status=200, body=b"{}", times=9)]
        rules = HostRules(insecure=("reg.test",))
        config = RegistryConfig(hosts=rules, proxies=Proxies(http=f"http://{script.address}"))
        async with RegistryClient(config, clock=TestClock()) as client:
            session = (await client.sessions("reg.test"))[1]
            async with await session.request("GET", "/x/manifests/v1") as answer:
                assert answer.status == 200
        assert {seen.headers["Host"] for seen in script.seen} == {"reg.test"}


@asynccontextmanager
async def _tls_server(context: ssl.SSLContext, seen: list[str]) -> AsyncIterator[str]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(str(request.rel_url))
        if request.path == "/v2/down/manifests/v1":
            return web.Response(status=307, headers={"Location": "http://192.0.2.1/m"})
        if request.path == "/v2/up/manifests/v1":
            # As a registry does which knows nothing of the proxy that ends TLS for it.
            return web.Response(
                status=307, headers={"Location": f"http://{request.host}/v2/x/manifests/v1"}
            )
        return web.Response(body=b"{}")

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _context(authority: Authority, *, clients: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.ca)
    return context


def _install(authority: Authority, directory: Path, address: str, *, client: bool) -> HostRules:
    host = directory / address
    host.mkdir()
    (host / "ca.crt").write_bytes(authority.ca.read_bytes())
    if client:
        (host / "client.cert").write_bytes(authority.client_certificate.read_bytes())
        (host / "client.key").write_bytes(authority.client_key.read_bytes())
    return HostRules(certificates=(directory,))


class TestTls:
    async def test_a_client_certificate_opens_a_registry(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        seen: list[str] = []
        async with _tls_server(_context(authority, clients=True), seen) as address:
            rules = _install(authority, tmp_path, address, client=True)
            async with _client(rules) as client:
                repository = await client.repository(Reference.parse(f"{address}/x"))
                await repository.fetch("v1")
            assert seen == ["/v2/", "/v2/x/manifests/v1"]
            async with _client(HostRules()) as client:
                repository = await client.repository(Reference.parse(f"{address}/x"))
                with pytest.raises(ConnectionFailed):
                    await repository.fetch("v1")

    async def test_a_broken_certificate_is_named(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        rules = _install(authority, tmp_path, "localhost:1", client=True)
        for name, words in (
            ("client.key", "could not load X509 key pair"),
            ("ca.crt", "could not load CA certificate"),
        ):
            (tmp_path / "localhost:1" / name).write_text("nonsense")
            async with _client(rules) as client:
                repository = await client.repository(Reference.parse("localhost:1/x"))
                with pytest.raises(InvalidParameter, match=words):
                    await repository.fetch("v1")

    async def test_a_redirect_does_not_leave_tls_for_another_host(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        seen: list[str] = []
        async with _tls_server(_context(authority), seen) as address:
            directory = tmp_path / address
            directory.mkdir()
            (directory / "hosts.toml").write_text(
                f'server = "https://{address}"\nca = "{authority.ca}"\n'
            )
            async with _client(HostRules(certificates=(tmp_path,))) as client:
                repository = await client.repository(Reference.parse(f"{address}/down"))
                with pytest.raises(
                    ConnectionFailed, match="refusing to follow from https"
                ) as caught:
                    await repository.fetch("v1")
                assert caught.value.trouble is Trouble.REDIRECT
                up = await client.repository(Reference.parse(f"{address}/up"))
                assert (await up.fetch("v1")).raw == b"{}"

    async def test_a_token_server_in_the_clear_is_not_told_a_secret(
        self, authority: Authority, tmp_path: Path, script: FaultProxy
    ) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            assert request.path == "/v2/"
            realm = f'Bearer realm="http://{script.address}/token"'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})

        runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(authority)).start()
        address = f"localhost:{runner.addresses[0][1]}"
        directory = tmp_path / address
        directory.mkdir()
        (directory / "hosts.toml").write_text(f'ca = "{authority.ca}"\n')
        async with _client(HostRules(certificates=(tmp_path,))) as client:
            repository = await client.repository(
                Reference.parse(f"{address}/x"),
                credentials=AuthConfig(username="u", password="p"),
            )
            with pytest.raises(Forbidden, match="refusing to ask for a token in the clear"):
                await repository.fetch("v1")
        await runner.cleanup()
        assert script.seen == []

    async def test_a_server_that_never_shakes_hands_is_given_up(self) -> None:
        ending = asyncio.Event()

        async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ending.wait()
            writer.close()

        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        address = f"127.0.0.1:{port}"
        config = RegistryConfig(
            timeouts=Timeouts(connect=0.2, stall=0.2), retries=RetryPolicy(attempts=1)
        )
        async with RegistryClient(config, clock=TestClock()) as client:
            repository = await client.repository(Reference.parse(f"{address}/x"))
            with pytest.raises(ConnectionFailed) as caught:
                await repository.fetch("v1")
            assert caught.value.trouble is Trouble.TIMEOUT
        ending.set()
        server.close()
        await server.wait_closed()
