"""JSON that nobody should send, for the tests of everything that reads JSON."""

import random

DEEP = 100_000

NOT_JSON: list[bytes] = [
    b"",
    b" ",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"{} {}",
    b"{}x",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b"\x00",
    b"\x1f\x8b\x08",
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b'{"config":' + b"[" * DEEP,
    b'{"layers":' + b"[" * DEEP,
    b'{"rootfs":' + b'{"a":' * DEEP,
    b'{"unknown":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"mediaType":"\xff\xfe"}',
    b'{"comment":"\xff\xfe"}',
    b'{"mediaType":"\\ud800"}',
]


def cut(raw: bytes) -> list[bytes]:
    """`raw`, ended too early at several places."""
    return [raw[:end] for end in range(0, len(raw), max(1, len(raw) // 40))]


def mangled(raw: bytes, *, seed: int) -> bytes:
    """`raw` with a few bytes changed, the same for the same seed."""
    chance = random.Random(seed)
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.choice(b'{}[]":,0-9nt\\x\xff\x00')
    return bytes(changed)
