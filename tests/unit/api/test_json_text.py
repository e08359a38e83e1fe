import json

import pytest

from lamina.api.json_text import encode_in_order, encode_json
from lamina.api.messages import encode, encode_error
from lamina.models import ContainerChange, PathStat
from lamina.progress import StreamText

NAME = b"caf\xe9\xff".decode(errors="surrogateescape")


# A name of Latin-1, as dockerd's encoder writes it.
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            [ContainerChange(path=f"/{NAME}", kind=1)],
            '[{"Path":"/caf\ufffd\ufffd","Kind":1}]',
        ),
        ({"b": NAME, "a": None}, '{"a":null,"b":"caf\ufffd\ufffd"}'),
        ({NAME: '"\u2028'}, '{"caf\ufffd\ufffd":"\\"\u2028"}'),
        ("plain é", '"plain é"'),
    ],
)
def test_names_that_are_no_utf8(value: object, expected: str) -> None:
    assert encode_json(value) == expected.encode()


def test_what_is_no_utf8_changes_nothing_else() -> None:
    def stat(name: str) -> PathStat:
        return PathStat(name=name, size=3, mode=0o644, mtime="2024-02-29T12:34:56Z")

    assert encode_json(stat(NAME)) == encode_json(stat("caf\ufffd\ufffd"))


def test_order() -> None:
    for name in ("é", NAME):
        assert encode_in_order({"b": name, "a": 1}).startswith(b'{"b":')


def test_in_messages() -> None:
    assert (
        encode(StreamText(f"COPY {NAME}\n"))
        == b'{"stream":"COPY caf\xef\xbf\xbd\xef\xbf\xbd\\n"}\r\n'
    )
    error = json.loads(encode_error(f"open {NAME}", code=7))
    assert error["errorDetail"] == {"code": 7, "message": "open caf\ufffd\ufffd"}
