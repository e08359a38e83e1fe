import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import DigestMismatch
from lamina.oci.digest import Digest
from lamina.records.records import Records
from lamina.transfer.incoming import incoming
from tests.unit.engine.root_files import look_at

DOCUMENTS = {Digest.of(data): data for data in (b"%d" % number for number in range(100))}


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    store = LocalStore(tmp_path / "content")
    async with Records.open(tmp_path, store, logger=logging.getLogger("test")) as opened:
        yield opened


async def test_many_documents(records: Records, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "content")
    async with incoming(records, store) as coming:
        await coming.store_documents(DOCUMENTS)
        assert look_at(tmp_path).blobs == {str(digest) for digest in DOCUMENTS}
        assert [await store.read_bytes(digest) for digest in DOCUMENTS] == list(DOCUMENTS.values())
        await coming.store_documents({})
    assert look_at(tmp_path).blobs == frozenset()


async def test_one_that_is_not_what_it_should_be(records: Records, tmp_path: Path) -> None:
    async with incoming(records, LocalStore(tmp_path / "content")) as coming:
        with pytest.raises(DigestMismatch):
            await coming.store_documents({**DOCUMENTS, Digest.of(b"x"): b"y"})
    assert look_at(tmp_path).blobs == frozenset()


async def test_what_others_store_for_it(records: Records, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "content")
    digest = Digest.of(b"layer")
    async with incoming(records, store) as coming:
        await coming.lease.protect(digest)
        coming.expect({digest})
        async with store.ingest(expected=digest) as writer:
            await writer.write(b"layer")
            await writer.commit()
    assert look_at(tmp_path).blobs == frozenset()
