import json

import msgspec
import pytest

from lamina.client import replies
from lamina.errors import EngineError
from lamina.models import ImageDeleteResponseItem


def test_rows_of_an_old_engine() -> None:
    raw = (
        b'[{"Containers":-1,"Created":5,"Id":"sha256:a","Labels":null,"ParentId":"",'
        b'"RepoDigests":null,"RepoTags":["x:1"],"SharedSize":-1,"Size":7,"VirtualSize":7},'
        b'{"Created":4,"Id":"sha256:b","Labels":{"a":"b"},"RepoDigests":["<none>@<none>"],'
        b'"RepoTags":["<none>:<none>"],"Size":8,"VirtualSize":8}]'
    )
    named, nameless = replies.summaries(raw)
    assert (named.repo_tags, named.repo_digests, named.labels) == (["x:1"], [], None)
    assert (nameless.repo_tags, nameless.repo_digests) == ([], [])
    assert nameless.labels == {"a": "b"}


def test_rows_are_the_same_from_a_new_engine() -> None:
    old = (
        b'[{"Containers":-1,"Created":4,"Id":"sha256:b","Labels":null,"ParentId":"",'
        b'"RepoDigests":["<none>@<none>"],"RepoTags":["<none>:<none>"],"SharedSize":-1,"Size":8,'
        b'"VirtualSize":8}]'
    )
    new = (
        b'[{"Containers":-1,"Created":4,"Id":"sha256:b","Labels":null,"ParentId":"",'
        b'"RepoDigests":[],"RepoTags":[],"SharedSize":-1,"Size":8,"Descriptor":{"a":1}}]'
    )
    assert replies.summaries(old) == replies.summaries(new)


def test_inspect_is_the_same_from_old_and_new_engines() -> None:
    common = b'"Id":"sha256:a","Architecture":"amd64","Os":"linux","Size":9,"Config":{"Cmd":["x"]}'
    old = replies.inspect(
        b"{" + common + b',"RepoTags":null,"RepoDigests":null,"Container":"",'
        b'"ContainerConfig":null,"VirtualSize":9,"GraphDriver":{"Data":null,"Name":"x"}}'
    )
    new = replies.inspect(
        b"{" + common + b',"RepoTags":[],"RepoDigests":[],"GraphDriver":{"Name":"x"},"Future":1}'
    )
    assert old == new
    assert (old.repo_tags, old.container, old.virtual_size) == ([], "", 9)
    assert old.config is not None
    assert list(old.config.cmd or ()) == ["x"]


def test_nothing_pruned() -> None:
    pruned = replies.pruned(b'{"ImagesDeleted":null,"SpaceReclaimed":0}')
    assert (pruned.images_deleted, pruned.space_reclaimed) == (None, 0)


def test_deleted() -> None:
    assert replies.deleted(b'[{"Untagged":"x:1"},{"Deleted":"sha256:a"}]') == [
        ImageDeleteResponseItem(untagged="x:1"),
        ImageDeleteResponseItem(deleted="sha256:a"),
    ]


def test_disk_use_is_limited_to_the_types_asked_for() -> None:
    raw = (
        b'{"LayersSize":5,"Images":[{"Id":"a","RepoTags":null}],"Containers":[],"Volumes":[],'
        b'"BuildCache":[],"BuilderSize":0}'
    )
    everything = replies.data_usage(raw, ())
    assert everything.containers == []
    assert everything.images is not None
    assert everything.images[0].repo_tags == []
    images = replies.data_usage(raw, ["image"])
    assert (images.layers_size, images.containers, images.build_cache) == (5, None, None)
    volumes = replies.data_usage(raw, ["volume"])
    assert (volumes.layers_size, volumes.images, volumes.volumes) == (0, None, [])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"{}",
        b'["x"]',
        b'[{"Id":5,"Size":"x"}]',
        b'[{"Created":1}]',
        b"[" * 100_000,
        b'[{"Id":"\xff"}]',
    ],
)
def test_answers_that_make_no_sense(raw: bytes) -> None:
    with pytest.raises(EngineError, match="makes no sense"):
        replies.summaries(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"message":"No such image: x:latest"}\n', "No such image: x:latest"),
        (b"plain words\n", "plain words"),
        (b"", "Not Found"),
        (b'{"message":null}', "Not Found"),
        (b"{}", "Not Found"),
        (b'["x"]', '["x"]'),
        (b"\xff", "\ufffd"),
    ],
)
def test_error_messages(raw: bytes, message: str) -> None:
    assert replies.error_message(raw, "Not Found") == message


def test_what_was_not_sent_stays_unset() -> None:
    event = replies.event(
        b'{"Type":"image","Action":"tag","Actor":{"ID":"a","Attributes":null},"time":1,"timeNano":2}'
    )
    assert event.status is msgspec.UNSET
    assert event.actor.attributes == {}


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'"x"', b'{"a":', b'{"\xff":1}', b'{"a":' + b"[" * 100_000]
)
def test_a_document_that_is_none(raw: bytes) -> None:
    with pytest.raises(EngineError, match="makes no sense"):
        replies.document(raw)


def test_a_document_stays_as_it_is() -> None:
    raw = b'{"b":null,"a":{"Novelty":1.5}}'
    assert json.dumps(replies.document(raw), separators=(",", ":")).encode() == raw
