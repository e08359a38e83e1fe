import pytest

from lamina.errors import InvalidParameter, Unauthorized
from lamina.registry.client import RegistryClient
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig
from lamina.registry.login import Login, LoginFailed, log_in
from tests.real.registry import Registry, registry as running_registry
from tests.registry.faults import Fault, FaultProxy


async def test_a_password_is_tried(client: RegistryClient) -> None:
    with running_registry(user="someone", password="right") as private:
        for address in (private.address, f"http://{private.address}/v2/"):
            good = AuthConfig(username="someone", password="right", serveraddress=address)
            assert await log_in(client, good) == Login("Login Succeeded", "")
        bad = AuthConfig(username="someone", password="wrong", serveraddress=private.address)
        with pytest.raises(Unauthorized) as caught:
            await log_in(client, bad)
        assert str(caught.value) == (
            f"login attempt to http://{private.address}/v2/ failed with status: 401 Unauthorized"
        )
        with pytest.raises(Unauthorized, match="no basic auth credentials"):
            await log_in(client, AuthConfig(serveraddress=private.address))


async def test_an_open_registry_lets_anyone_in(client: RegistryClient, registry: Registry) -> None:
    who = AuthConfig(username="a", password="b", serveraddress=registry.address)
    assert (await log_in(client, who)).status == "Login Succeeded"


async def test_a_registry_that_fails_is_told_with_its_status(
    client: RegistryClient, script: FaultProxy
) -> None:
    script.faults = [Fault(on="", status=500, times=9)]
    with pytest.raises(LoginFailed) as caught:
        await log_in(client, AuthConfig(username="a", password="b", serveraddress=script.address))
    assert str(caught.value) == (
        f"login attempt to http://{script.address}/v2/ failed with status: "
        "500 Internal Server Error"
    )


async def test_a_registry_that_is_not_there_is_told(client: RegistryClient) -> None:
    with pytest.raises(ConnectionFailed, match=r'Get "http://127\.0\.0\.1:1/v2/": dial tcp'):
        await log_in(client, AuthConfig(username="a", password="b", serveraddress="127.0.0.1:1"))


@pytest.mark.parametrize("address", ["a b.c", "a\0b.c", "[::", "u@a.b", "a.b:c", "https://a?b"])
async def test_an_address_that_is_none_is_told(client: RegistryClient, address: str) -> None:
    with pytest.raises(InvalidParameter, match=r'^unable to parse server address: parse "https://'):
        await log_in(client, AuthConfig(username="a", password="b", serveraddress=address))
