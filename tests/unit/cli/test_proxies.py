import json
from pathlib import Path

import pytest

from lamina.cli.proxies import proxy_arguments
from lamina.errors import InvalidParameter


def test_of_an_engine_or_of_all(tmp_path: Path) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert proxy_arguments(environ, "") == {}
    config = {
        "auths": {},
        "proxies": {
            "default": {"httpProxy": "http://d:1", "noProxy": "a,b", "ftpProxy": ""},
            "tcp://e:1": {"allProxy": "socks5://e"},
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    of_all = {
        "HTTP_PROXY": "http://d:1",
        "http_proxy": "http://d:1",
        "NO_PROXY": "a,b",
        "no_proxy": "a,b",
    }
    assert proxy_arguments(environ, "") == of_all
    assert proxy_arguments(environ, "tcp://other") == of_all
    assert proxy_arguments(environ, "tcp://e:1") == {
        "ALL_PROXY": "socks5://e",
        "all_proxy": "socks5://e",
    }


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'{"proxies": []}',
        b'{"proxies": {"default": 1}}',
        b'{"proxies": {"\xff": {}}}',
        b'{"a":' + b"[" * 9999,
    ],
)
def test_what_is_no_such_file(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(InvalidParameter, match=r"config\.json"):
        proxy_arguments({"DOCKER_CONFIG": str(tmp_path)}, "")
