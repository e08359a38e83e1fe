"""Registries behind proxies: TLS in a tunnel, and in one that is itself TLS."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.connection_error import ConnectionFailed, Trouble
from lamina.registry.hosts import HostRules
from lamina.registry.proxies import Proxies
from lamina.registry.repository import Repository
from tests.real.certificates import Authority
from tests.real.registry import Registry, registry as running_registry
from tests.registry.blobs import Memory, random_blob
from tests.registry.clock import TestClock
from tests.registry.connect_proxy import connect_proxy
from tests.registry.images import push_image

pytestmark = pytest.mark.parametrize("scheme", ["http", "https"])


@pytest.fixture(scope="module")
def registry(authority: Authority) -> Iterator[Registry]:
    """A registry that speaks TLS only."""
    with running_registry(tls=authority) as running:
        yield running


@pytest.fixture
def name(registry: Registry) -> str:
    """Its name, which nobody but the proxy can resolve: loopback is reached without one."""
    return f"registry.test:{registry.port}"


def _client(authority: Authority, directory: Path, name: str, proxy: str) -> RegistryClient:
    (directory / name).mkdir()
    (directory / name / "ca.crt").write_bytes(authority.ca.read_bytes())
    rules = HostRules(certificates=(directory,))
    config = RegistryConfig(hosts=rules, proxies=Proxies(https=proxy))
    return RegistryClient(config, clock=TestClock())


async def _repository(client: RegistryClient, name: str) -> Repository:
    return await client.repository(Reference.parse(f"{name}/behind/a-proxy"))


def _tls(authority: Authority, scheme: str) -> ssl.SSLContext | None:
    if scheme == "http":
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    return context


@pytest.mark.parametrize("login", ["", "me:se cret"])
async def test_there_and_back(
    authority: Authority, tmp_path: Path, name: str, scheme: str, login: str
) -> None:
    blob = random_blob(3 << 20, seed=1)
    async with connect_proxy(tls=_tls(authority, scheme), login=login) as proxy:
        user = f"{login.replace(' ', '%20')}@" if login else ""
        address = f"{scheme}://{user}localhost:{proxy.port}"
        async with _client(authority, tmp_path, name, address) as client:
            repository = await _repository(client, name)
            digest = await push_image(repository, blob, "v1")
            assert (await repository.fetch("v1")).digest == digest
            proxy.cut = 1 << 20
            memory = Memory()
            await repository.download(blob.digest, blob.size, memory)
            assert memory.data == blob.data
    assert len(proxy.targets) > 1
    assert set(proxy.targets) == {name}


async def test_a_proxy_that_wants_a_password(
    authority: Authority, tmp_path: Path, name: str, scheme: str
) -> None:
    async with connect_proxy(tls=_tls(authority, scheme), login="me:secret") as proxy:
        address = f"{scheme}://localhost:{proxy.port}"
        error = await _refused(_client(authority, tmp_path, name, address), name)
    assert error.reason == "Proxy Authentication Required"


async def test_a_proxy_that_is_not_there(
    authority: Authority, tmp_path: Path, name: str, scheme: str
) -> None:
    error = await _refused(_client(authority, tmp_path, name, f"{scheme}://127.0.0.1:1"), name)
    assert error.trouble is Trouble.DIAL
    assert error.reason == ("proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused")


async def _refused(client: RegistryClient, name: str) -> ConnectionFailed:
    async with client:
        repository = await _repository(client, name)
        with pytest.raises(ConnectionFailed) as caught:
            await repository.fetch("v1")
    return caught.value
