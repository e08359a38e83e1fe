import json

import pytest

from lamina.errors import CorruptData
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient
from tests.registry.faults import Fault, FaultProxy


def _page(link: str | None, *tags: str, times: int = 1, on: str = "tags") -> Fault:
    headers = {} if link is None else {"Link": f'<{link}>; rel="next"'}
    body = json.dumps({"name": "x", "tags": tags}).encode()
    return Fault(on=on, status=200, headers=headers, body=body, times=times)


async def _tags(client: RegistryClient, script: FaultProxy, *pages: Fault) -> list[str]:
    script.faults = [Fault(on="GET /v2/$", status=200), *pages]
    return await (await client.repository(Reference.parse(f"{script.address}/x"))).tags()


async def test_pages_are_followed_to_the_last(client: RegistryClient, script: FaultProxy) -> None:
    found = await _tags(
        client,
        script,
        _page("/v2/x/tags/list?last=b", "a", "b"),
        _page("list?last=c", "b", "c"),
        _page(None, "d", "not a tag", "-neither"),
    )
    assert found == ["a", "b", "c", "d"]
    assert [seen.path for seen in script.requests("tags")] == [
        "/v2/x/tags/list",
        "/v2/x/tags/list?last=b",
        "/v2/x/tags/list?last=c",
    ]


async def test_a_page_that_names_itself_ends_it(client: RegistryClient, script: FaultProxy) -> None:
    with pytest.raises(CorruptData, match="the same page again"):
        await _tags(client, script, _page("/v2/x/tags/list?n=1", "a", times=99))
    assert len(script.requests("tags")) == 2


async def test_a_page_on_another_host_is_not_asked_for(
    client: RegistryClient, script: FaultProxy
) -> None:
    with pytest.raises(CorruptData, match="another host"):
        await _tags(client, script, _page("http://192.0.2.1/v2/x/tags/list", "a"))


@pytest.mark.parametrize("body", [b"nonsense", b'{"tags":5}', b'{"tags":[null]}', b"[" * 99_999])
async def test_what_is_no_list_is_told(
    client: RegistryClient, script: FaultProxy, body: bytes
) -> None:
    with pytest.raises(CorruptData, match="invalid list"):
        await _tags(client, script, Fault(on="tags", status=200, body=body))


async def test_an_endless_page_is_cut_off(client: RegistryClient, script: FaultProxy) -> None:
    with pytest.raises(CorruptData, match="larger than"):
        await _tags(client, script, Fault(on="tags", status=200, body=b" " * (17 << 20)))


async def test_a_repository_without_tags_has_none(
    client: RegistryClient, script: FaultProxy
) -> None:
    assert await _tags(client, script, Fault(on="tags", status=200, body=b'{"tags":null}')) == []
