import json

import pytest
from hypothesis import given, strategies as st

from lamina.api.messages import (
    MAX_MESSAGE,
    Lines,
    MessageReader,
    decode,
    encode,
    encode_error,
    progress_bar,
)
from lamina.errors import EngineError
from lamina.progress import Aux, BuildWarning, Event, LayerProgress, StatusLine, StreamText

EVENTS: list[Event] = [
    StatusLine("Digest: sha256:abc"),
    StatusLine("Pulling from library/busybox", id="latest"),
    LayerProgress("a1b2c3d4e5f6", "Pulling fs layer"),
    LayerProgress("a1b2c3d4e5f6", "Downloading", 512, 1024),
    LayerProgress("a1b2c3d4e5f6", "Downloading", 0, 1024),
    LayerProgress("", "Importing", 512),
    StreamText("Loaded image: busybox:latest\n"),
    Aux({"ID": "sha256:abc"}),
    Aux({"ID": "sha256:abc", "BuildWarning": {"Rule": 1}}),
    BuildWarning(
        image="sha256:abc", rule="Rule", detail="Why", url="https://x", first_line=2, last_line=3
    ),
]


# What dockerd 20.10 sent for the same.
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (StatusLine("sha256:1ad9"), b'{"status":"sha256:1ad9"}\r\n'),
        (StatusLine("Pulling", id="latest"), b'{"status":"Pulling","id":"latest"}\r\n'),
        (StreamText("Loaded image: x:1\n"), b'{"stream":"Loaded image: x:1\\n"}\r\n'),
        (
            LayerProgress("8e2b", "Pulling fs layer"),
            b'{"status":"Pulling fs layer","progressDetail":{},"id":"8e2b"}\r\n',
        ),
        (
            LayerProgress("afc90fdfec49", "Loading layer", 32768, 1_992_704),
            (
                b'{"status":"Loading layer","progressDetail":{"current":32768,"total":1992704},'
                b'"progress":"[\\u003e                                                  ]  '
                b'32.77kB/1.993MB","id":"afc90fdfec49"}\r\n'
            ),
        ),
        (Aux({"ID": "sha256:1"}), b'{"aux":{"ID":"sha256:1"}}\r\n'),
    ],
)
def test_an_event_is_written_as_dockerd_writes_it(event: Event, expected: bytes) -> None:
    line = encode(event)
    assert line.endswith(b"\r\n")
    # Go's encoder escapes `>` here and ours does not; to a reader of JSON it is the same.
    assert json.loads(line) == json.loads(expected)
    assert list(json.loads(line)) == list(json.loads(expected))


def test_a_warning_is_an_aux_that_tells_the_image() -> None:
    warning = EVENTS[-1]
    assert json.loads(encode(warning)) == {
        "aux": {
            "ID": "sha256:abc",
            "BuildWarning": {
                "Rule": "Rule",
                "Detail": "Why",
                "URL": "https://x",
                "FirstLine": 2,
                "LastLine": 3,
            },
        }
    }


def test_an_error_is_said_twice() -> None:
    assert encode_error("no space") == (
        b'{"errorDetail":{"message":"no space"},"error":"no space"}\r\n'
    )
    assert json.loads(encode_error("exit", code=3))["errorDetail"] == {"code": 3, "message": "exit"}


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_encoded_is_decoded_again(event: Event) -> None:
    assert decode(encode(event)) == event


def test_an_error_message_is_raised() -> None:
    with pytest.raises(EngineError, match="no space") as caught:
        decode(encode_error("no space"))
    assert caught.value.status is None
    with pytest.raises(EngineError, match="old"):
        decode(b'{"error":"old"}')


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"nonsense", b'{"status":{}}', b'{"stream":"\xff"}', b'{"aux":' + b"[" * 100_000],
)
def test_what_is_no_message_is_an_error(line: bytes) -> None:
    with pytest.raises(EngineError, match="no JSON message"):
        decode(line)


def test_unknown_keys_are_passed_over() -> None:
    assert decode(b'{"status":"x","from":"y","timeNano":1}') == StatusLine("x")
    assert decode(b'{"novelty":1}') is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_a_reader_finds_the_messages_however_they_are_cut(sizes: list[int]) -> None:
    data = b"".join(map(encode, EVENTS))
    reader = MessageReader()
    found: list[Event] = []
    while data:
        for size in sizes:
            found += reader.feed(data[:size])
            data = data[size:]
    found += reader.close()
    assert found == EVENTS


@pytest.mark.parametrize("size", range(1, 27))
def test_lines_however_they_are_cut(size: int) -> None:
    text, lines = b'{"a":1}\n{"b":2}\r\n\n{"c":3}', Lines()
    found = [
        line.strip()
        for start in range(0, len(text), size)
        for line in lines.feed(text[start : start + size])
    ]
    assert found == [b'{"a":1}', b'{"b":2}']
    assert (lines.close(), lines.close()) == ([b'{"c":3}'], [])


def test_a_last_message_needs_no_line_end() -> None:
    reader = MessageReader()
    assert list(reader.feed(b'{"status":"x"}')) == []
    assert list(reader.close()) == [StatusLine("x")]
    assert list(reader.close()) == []


def test_a_message_without_end_is_refused() -> None:
    reader = MessageReader()
    for _ in range(MAX_MESSAGE // 4096):
        assert list(reader.feed(b"x" * 4096)) == []
    with pytest.raises(EngineError, match="without an end"):
        list(reader.feed(b"x"))


@pytest.mark.parametrize(
    ("current", "total", "expected"),
    [
        (0, 0, ""),
        (32768, 0, " 32.77kB"),
        (0, 100, "[>" + " " * 50 + "]       0B/100B"),
        (50, 100, "[" + "=" * 25 + ">" + " " * 25 + "]      50B/100B"),
        (100, 100, "[" + "=" * 50 + ">]     100B/100B"),
        (150, 100, "[" + "=" * 50 + ">]     150B"),
    ],
)
def test_the_bar(current: int, total: int, expected: str) -> None:
    assert progress_bar(current, total) == expected
