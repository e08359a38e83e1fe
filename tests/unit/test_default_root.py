from pathlib import Path

import pytest

from lamina.default_root import default_root


def test_root_has_the_system_s() -> None:
    environ = {"HOME": "/root", "XDG_DATA_HOME": "/root/data"}
    assert default_root(environ, uid=0) == Path("/var/lib/lamina")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/u"}, "/home/u/.local/share/lamina"),
        ({"HOME": "/home/u", "XDG_DATA_HOME": "/data"}, "/data/lamina"),
        ({"HOME": "/home/u", "XDG_DATA_HOME": ""}, "/home/u/.local/share/lamina"),
        ({"HOME": "/home/u", "XDG_DATA_HOME": "data"}, "/home/u/.local/share/lamina"),
        ({}, "/.local/share/lamina"),
    ],
)
def test_others_have_their_own(environ: dict[str, str], expected: str) -> None:
    assert default_root(environ, uid=7) == Path(expected)
