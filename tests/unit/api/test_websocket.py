import pytest
from hypothesis import given, strategies as st

from lamina.api.websocket import (
    Close,
    Data,
    Decoder,
    Opcode,
    Ping,
    ProtocolError,
    accept_key,
    encode,
)
from lamina.errors import InvalidParameter

MASK = b"\x37\xfa\x21\x3d"


def masked(frame: bytes, mask: bytes = MASK) -> bytes:
    """A server's frame as a client would send it."""
    size = {126: 4, 127: 10}.get(frame[1], 2)
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(frame[size:]))
    return bytes([frame[0], frame[1] | 0x80]) + frame[2:size] + mask + payload


def part(opcode: Opcode, payload: bytes) -> bytes:
    """A masked frame that is not the last of its message."""
    frame = masked(encode(opcode, payload))
    return bytes([frame[0] & 0x7F]) + frame[1:]


def test_the_examples_of_the_specification() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert encode(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert encode(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode(Opcode.BINARY, bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")
    assert Decoder().feed(bytes.fromhex("818537fa213d7f9f4d5158")) == [Data(b"Hello")]
    assert Decoder().feed(bytes.fromhex("898537fa213d7f9f4d5158")) == [Ping(b"Hello")]


@given(
    st.lists(st.integers(0, 400) | st.integers(65_530, 65_540), max_size=4),
    st.lists(st.integers(1, 70_000), min_size=1),
    st.binary(min_size=4, max_size=4),
)
def test_what_is_said_arrives_however_it_is_cut(
    sizes: list[int], cuts: list[int], mask: bytes
) -> None:
    said = [(bytes(range(251)) * 262)[:size] for size in sizes]
    wire = b"".join(masked(encode(Opcode.BINARY, payload), mask) for payload in said)
    decoder, heard, at, turn = Decoder(), b"", 0, 0
    while at < len(wire):
        size = cuts[turn % len(cuts)]
        for message in decoder.feed(wire[at : at + size]):
            assert isinstance(message, Data)
            heard += message.payload
        at, turn = at + size, turn + 1
    assert heard == b"".join(said)


def test_a_message_in_parts_with_a_ping_between() -> None:
    wire = part(Opcode.TEXT, b"a") + masked(encode(Opcode.PING, b"?"))
    wire += part(Opcode.CONTINUATION, b"b") + masked(encode(Opcode.PONG, b"!"))
    wire += masked(encode(Opcode.CONTINUATION, b"c")) + masked(encode(Opcode.TEXT, b"d"))
    found = [Data(b"a"), Ping(b"?"), Data(b"b"), Data(b"c"), Data(b"d")]
    assert Decoder().feed(wire) == found


def test_nothing_follows_a_close() -> None:
    wire = masked(encode(Opcode.CLOSE, b"\x03\xe8bye")) + masked(encode(Opcode.TEXT, b"more"))
    assert Decoder().feed(wire) == [Close(b"\x03\xe8bye")]


def test_data_is_handed_on_before_its_frame_has_ended() -> None:
    decoder = Decoder()
    wire = masked(encode(Opcode.BINARY, b"x" * 100_000))
    assert decoder.feed(wire[:1014]) == [Data(b"x" * 1000)]


@pytest.mark.parametrize(
    "wire",
    [
        encode(Opcode.TEXT, b"not masked"),
        bytes([0xC1, 0x80, *MASK]),  # a reserved bit
        bytes([0x83, 0x80, *MASK]),  # a type that is none
        bytes([0x09, 0x80, *MASK]),  # a ping in parts
        bytes([0x89, 0xFE, 0, 126, *MASK]),  # a long ping
        bytes([0x80, 0x80, *MASK]),  # the rest of nothing
        part(Opcode.TEXT, b"a") + masked(encode(Opcode.TEXT, b"b")),
        bytes([0x82, 0xFF, 0x80, *bytes(7), *MASK]),
    ],
)
def test_what_breaks_the_rules(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(wire)


@pytest.mark.parametrize("key", ["", "x", "AAAA", "dGhlIHNhbXBsZSBub25jZQ==\n"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(InvalidParameter):
        accept_key(key)
