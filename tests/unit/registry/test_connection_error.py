import errno
import ssl

import aiohttp
import pytest
from yarl import URL

from lamina.registry.connection_error import ConnectionFailed, Trouble, explain, shown

_URL = URL("https://reg.example:5000/v2/")


@pytest.mark.parametrize(
    ("error", "reason", "trouble"),
    [
        (aiohttp.ServerDisconnectedError(), "EOF", Trouble.BROKEN),
        (aiohttp.ClientPayloadError("x"), "unexpected EOF", Trouble.BROKEN),
        (
            aiohttp.ClientOSError(errno.ECONNRESET, "x"),
            "read tcp reg.example:5000: connection reset by peer",
            Trouble.BROKEN,
        ),
        (
            aiohttp.ConnectionTimeoutError(),
            "dial tcp reg.example:5000: i/o timeout",
            Trouble.TIMEOUT,
        ),
        (
            aiohttp.SocketTimeoutError(),
            "net/http: timeout awaiting response",
            Trouble.TIMEOUT,
        ),
        (TimeoutError(), "net/http: timeout awaiting response", Trouble.TIMEOUT),
        (ssl.SSLError(1, "x"), "tls: x", Trouble.TLS),
        (aiohttp.ClientError("odd"), "odd", Trouble.BROKEN),
    ],
)
def test_errors_are_worded_as_go_words_them(
    error: Exception, reason: str, trouble: Trouble
) -> None:
    assert explain(error, _URL) == (reason, trouble)


def test_a_message_names_the_request() -> None:
    error = ConnectionFailed("HEAD", _URL, "EOF", Trouble.BROKEN)
    assert str(error) == 'Head "https://reg.example:5000/v2/": EOF'


def test_a_signature_is_not_shown() -> None:
    signed = URL("https://u:p@cdn.example/b").with_query(sig="x" * 65)
    assert shown(signed) == "https://cdn.example/b"
    assert shown(URL("https://i.example/v1/search?q=a&n=25")) == (
        "https://i.example/v1/search?q=a&n=25"
    )
