import asyncio
from collections.abc import AsyncIterator

import pytest

from lamina.errors import Unauthorized
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryDenied, RegistryUnauthorized
from lamina.registry.login import log_in
from lamina.registry.pages import repositories
from lamina.registry.token import TokenError
from tests.registry.blobs import Blob, Memory, random_blob
from tests.registry.clock import TestClock
from tests.registry.faults import Fault, FaultProxy
from tests.registry.images import push_image
from tests.registry.token_registry import PASSWORD, REFRESH, USER, TokenServer, token_registry

GOOD = AuthConfig(username=USER, password=PASSWORD)
BAD = AuthConfig(username=USER, password="wrong")

TAGS = Fault(on="/tags/list", status=200, body=b'{"tags":["a"]}')

Served = tuple[str, TokenServer]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with token_registry() as running:
        yield running


async def test_one_token_serves_many_requests_side_by_side(
    served: Served, client: RegistryClient
) -> None:
    address, server = served
    reference = Reference.parse(f"{address}/private/image")
    repository = await client.repository(reference, credentials=GOOD)
    digest = await push_image(repository, Blob(b"layer"), "v1")
    assert server.asked == [
        (
            "GET",
            {
                "service": ["lamina tests"],
                "scope": ["repository:private/image:pull,push"],
                "account": [USER],
            },
        )
    ]
    server.asked.clear()
    again = await client.repository(reference, credentials=GOOD)
    found = await asyncio.gather(*(again.resolve("v1") for _ in range(8)))
    assert {resolved.digest for resolved in found} == {digest}
    assert len(server.asked) == 1
    assert server.asked[0][1]["scope"] == ["repository:private/image:pull"]


async def test_a_token_is_renewed_when_its_time_is_over(
    served: Served, client: RegistryClient, clock: TestClock
) -> None:
    address, server = served
    server.life = 100
    repository = await client.repository(Reference.parse(f"{address}/x"), credentials=GOOD)
    await push_image(repository, Blob(b"layer"), "v1")
    server.asked.clear()
    await repository.resolve("v1")
    clock.now += 80
    await repository.resolve("v1")
    assert len(server.asked) == 1
    clock.now += 15
    await repository.resolve("v1")
    assert len(server.asked) == 2


async def test_a_token_that_is_refused_is_renewed_once(
    served: Served, client: RegistryClient
) -> None:
    address, server = served
    async with FaultProxy(address).running() as proxy:
        repository = await client.repository(
            Reference.parse(f"{proxy.address}/x"), credentials=GOOD
        )
        await push_image(repository, Blob(b"layer"), "v1")
        await repository.resolve("v1")
        server.asked.clear()
        realm = f"http://127.0.0.1:{server.port}/token"
        challenge = f'Bearer realm="{realm}",service="lamina tests",error="invalid_token"'
        refusal = Fault(on="HEAD", status=401, headers={"WWW-Authenticate": challenge})
        proxy.faults = [refusal]
        await repository.resolve("v1")
        assert len(server.asked) == 1
        proxy.faults = [Fault(on="HEAD", status=401, headers=refusal.headers, times=9)]
        with pytest.raises(RegistryUnauthorized, match=r"^unauthorized: authentication required$"):
            await repository.resolve("v1")
        assert len(server.asked) == 2


async def test_anyone_may_pull_what_is_public_and_nothing_else(
    served: Served, client: RegistryClient
) -> None:
    address, server = served
    digests = set()
    for name in ("public/image", "private/image"):
        owner = await client.repository(Reference.parse(f"{address}/{name}"), credentials=GOOD)
        digests.add(await push_image(owner, Blob(b"layer"), "v1"))
    server.asked.clear()
    public = await client.repository(Reference.parse(f"{address}/public/image"))
    assert {(await public.fetch("v1")).digest} == digests
    assert server.asked == [
        ("GET", {"service": ["lamina tests"], "scope": ["repository:public/image:pull"]})
    ]
    private = await client.repository(Reference.parse(f"{address}/private/image"))
    with pytest.raises(RegistryDenied) as caught:
        await private.fetch("v1")
    assert [str(problem) for problem in caught.value.problems] == [
        "denied: requested access to the resource is denied",
        "unauthorized: authentication required",
    ]
    # The owner's token is nobody else's.
    with pytest.raises(RegistryDenied):
        await private.download(Blob(b"layer").digest, 5, Memory())


async def test_wrong_credentials_are_told_in_the_token_servers_words(
    served: Served, client: RegistryClient
) -> None:
    address, _ = served
    repository = await client.repository(Reference.parse(f"{address}/x"), credentials=BAD)
    with pytest.raises(Unauthorized, match=r"^unauthorized: incorrect username or password$"):
        await repository.fetch("v1")


@pytest.mark.parametrize(
    ("credentials", "refuse_get", "methods"),
    [(AuthConfig(identitytoken=REFRESH), False, ["POST"]), (GOOD, True, ["GET", "POST"])],
)
async def test_refresh_tokens_and_servers_without_get_use_post(
    served: Served,
    client: RegistryClient,
    credentials: AuthConfig,
    methods: list[str],
    *,
    refuse_get: bool,
) -> None:
    address, server = served
    server.refuse_get = refuse_get
    repository = await client.repository(Reference.parse(f"{address}/x"), credentials=credentials)
    await push_image(repository, Blob(b"layer"), "v1")
    assert [method for method, _ in server.asked][: len(methods)] == methods
    form = server.asked[-1][1]
    assert form["scope"] == ["repository:x:pull,push"]
    assert form["client_id"] == ["lamina"]


async def test_a_mount_asks_for_both_repositories(served: Served, client: RegistryClient) -> None:
    address, server = served
    blob = random_blob(1000, seed=1)
    source = await client.repository(Reference.parse(f"{address}/source"), credentials=GOOD)
    await source.upload(blob)
    server.asked.clear()
    target = await client.repository(Reference.parse(f"{address}/target"), credentials=GOOD)
    assert (await target.upload(blob, mount_from=["source"])).mounted_from == "source"
    assert server.asked[0][1]["scope"] == ["repository:source:pull", "repository:target:pull,push"]


async def test_an_access_token_is_used_as_it_is(served: Served, client: RegistryClient) -> None:
    address, server = served
    repository = await client.repository(
        Reference.parse(f"{address}/x"), credentials=AuthConfig(registrytoken="nonsense")
    )
    with pytest.raises(Unauthorized):
        await repository.fetch("v1")
    assert server.asked == []


async def test_the_catalogue_needs_its_own_scope(served: Served, client: RegistryClient) -> None:
    address, server = served
    owner = await client.repository(Reference.parse(f"{address}/some/image"), credentials=GOOD)
    await push_image(owner, Blob(b"layer"), "v1")
    session, *_ = await client.sessions(address, credentials=GOOD)
    assert [name async for name in repositories(session)] == ["some/image"]
    assert server.asked[-1][1]["scope"] == ["registry:catalog:*"]


async def test_logging_in_gives_a_refresh_token(served: Served, client: RegistryClient) -> None:
    address, server = served
    done = await log_in(client, AuthConfig(username=USER, password=PASSWORD, serveraddress=address))
    assert (done.status, done.identity_token) == ("Login Succeeded", REFRESH)
    assert server.asked[-1][1]["offline_token"] == ["true"]
    with pytest.raises(Unauthorized) as caught:
        await log_in(client, AuthConfig(username=USER, password="wrong", serveraddress=address))
    assert str(caught.value) == (
        f'Get "http://{address}/v2/": unauthorized: incorrect username or password'
    )


async def test_credentials_do_not_follow_a_redirect_to_another_server(
    client: RegistryClient, script: FaultProxy
) -> None:
    async with FaultProxy(None).running() as other:
        realm = f"http://{script.address}/token"
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}
        script.faults = [
            Fault(on="GET /v2/$", status=401, headers=challenge),
            Fault(on="/token", status=307, headers={"Location": f"http://{other.address}/token"}),
            Fault(on="manifests", status=307, headers={"Location": f"http://{other.address}/m"}),
        ]
        other.faults = [
            Fault(on="/token", status=200, body=b'{"token":"abc"}'),
            Fault(on="/m", status=200, body=b"{}"),
        ]
        repository = await client.repository(
            Reference.parse(f"{script.address}/x"), credentials=GOOD
        )
        await repository.fetch("v1")
        assert [seen.method for seen in other.seen] == ["GET", "GET"]
        assert all("Authorization" not in seen.headers for seen in other.seen)
        (token,) = script.requests("/token")
        assert token.headers["Authorization"].startswith("Basic ")
        (manifest,) = script.requests("manifests")
        assert manifest.headers["Authorization"] == "Bearer abc"


async def test_a_posted_secret_follows_no_redirect(
    client: RegistryClient, script: FaultProxy
) -> None:
    async with FaultProxy(None).running() as other:
        realm = f"http://{script.address}/token"
        script.faults = [
            Fault(
                on="GET /v2/$", status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'}
            ),
            Fault(on="/token", status=307, headers={"Location": f"http://{other.address}/token"}),
        ]
        repository = await client.repository(
            Reference.parse(f"{script.address}/x"), credentials=AuthConfig(identitytoken="secret")
        )
        with pytest.raises(Exception, match="307"):
            await repository.fetch("v1")
        assert other.seen == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "authorization server did not include a token in the response"),
        (b"nonsense", "unable to decode token response"),
        (b'{"token":"a\\nb"}', "forbidden characters"),
        (b'{"token":"' + b"x" * 2_000_000 + b'"}', "unable to decode token response"),
    ],
)
async def test_an_answer_that_is_no_token_is_told(
    client: RegistryClient, script: FaultProxy, body: bytes, message: str
) -> None:
    realm = f"http://{script.address}/token"
    script.faults = [
        Fault(on="GET /v2/$", status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'}),
        Fault(on="/token", status=200, body=body),
    ]
    repository = await client.repository(Reference.parse(f"{script.address}/x"))
    with pytest.raises(TokenError, match=message):
        await repository.fetch("v1")


@pytest.mark.parametrize("realm", ["ftp://x/", "/token", "http://u:p@h/", "http://[x"])
async def test_a_realm_that_is_no_address_is_told(
    client: RegistryClient, script: FaultProxy, realm: str
) -> None:
    script.faults = [
        Fault(on="GET /v2/$", status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})
    ]
    repository = await client.repository(Reference.parse(f"{script.address}/x"))
    with pytest.raises(TokenError, match="invalid token auth challenge realm"):
        await repository.fetch("v1")


async def test_a_token_server_out_of_breath_is_asked_again(
    client: RegistryClient, script: FaultProxy, clock: TestClock
) -> None:
    realm = f"http://{script.address}/token"
    script.faults = [
        Fault(on="GET /v2/$", status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'}),
        Fault(on="/token", status=503, headers={"Retry-After": "3"}),
        Fault(on="/token", status=200, body=b'{"access_token":"t","expires_in":"300"}'),
        Fault(on="manifests", status=200, body=b"{}"),
    ]
    repository = await client.repository(Reference.parse(f"{script.address}/x"))
    await repository.fetch("v1")
    assert clock.waits == [3]


async def test_what_a_registry_asked_for_may_be_outdated(
    script: FaultProxy, client: RegistryClient
) -> None:
    repository = await client.repository(Reference.parse(f"{script.address}/x"))
    nowhere = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:1/token"'}
    # When it is of no use, what it asked for is asked for again.
    twice = Fault(on=r"/v2/$", status=401, headers=nowhere, times=2)
    script.faults = [twice, Fault(on=r"/v2/$", status=200), TAGS]
    for asked in (1, 2):
        with pytest.raises(ConnectionFailed, match="connection refused"):
            await repository.tags()
        assert len(script.requests(r"/v2/$")) == asked
    assert await repository.tags() == ["a"]


async def test_a_login_asks_anew(script: FaultProxy, client: RegistryClient) -> None:
    repository = await client.repository(Reference.parse(f"{script.address}/x"))
    script.faults = [
        Fault(on=r"/v2/$", status=200),
        TAGS,
        Fault(on=r"/v2/$", status=401, headers={"WWW-Authenticate": "Basic"}),
        Fault(on=r"/v2/$", status=200),
    ]
    assert await repository.tags() == ["a"]
    who = AuthConfig(username="u", password="p", serveraddress=script.address)
    assert (await log_in(client, who)).status == "Login Succeeded"
    assert script.seen[-1].headers["Authorization"].startswith("Basic ")
