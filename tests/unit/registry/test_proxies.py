import pytest
from yarl import URL

from lamina.errors import LaminaError
from lamina.registry.proxies import Proxies


def _proxy(url: str, exceptions: str = "") -> str | None:
    proxies = Proxies(http="plain.example:3128", https="http://tls.example", exceptions=exceptions)
    found = proxies.proxy_for(URL(url))
    return None if found is None else str(found)


def test_each_scheme_has_its_own_proxy() -> None:
    assert _proxy("http://r.example/v2/") == "http://plain.example:3128"
    assert _proxy("https://r.example/v2/") == "http://tls.example"
    assert Proxies().proxy_for(URL("https://r.example")) is None


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "127.3.2.1", "[::1]:5000"])
def test_loopback_is_reached_directly(host: str) -> None:
    assert _proxy(f"https://{host}/") is None


@pytest.mark.parametrize(
    ("exceptions", "host", "direct"),
    [
        ("*", "r.example", True),
        ("example", "r.example", True),
        ("r.example", "r.example", True),
        ("R.Example", "r.example", True),
        ("example", "rexample", False),
        (".example", "r.example", True),
        (".example", "example", False),
        ("*.example", "r.example", True),
        ("a, r.example ,b", "r.example", True),
        ("r.example:5000", "r.example:5000", True),
        ("r.example:5000", "r.example:5001", False),
        ("r.example:443", "r.example", True),
        ("10.0.0.0/8", "10.1.2.3:99", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3:443", False),
        ("2001:db8::/32", "[2001:db8::1]:5000", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000", True),
        ("0.1", "10.0.0.1", False),
        ("nonsense/8", "r.example", False),
        ("", "r.example", False),
    ],
)
def test_exceptions_are_read_as_go_reads_them(exceptions: str, host: str, *, direct: bool) -> None:
    assert (_proxy(f"https://{host}/", exceptions) is None) is direct


@pytest.mark.parametrize(
    "proxy", ["socks5://p:1080", "ftp://p:1", "http://[::", "p:99999", "p:xx", "http://", "://p"]
)
def test_a_proxy_that_is_none_is_told_instead_of_passed_by(proxy: str) -> None:
    with pytest.raises(LaminaError, match="invalid proxy address"):
        Proxies(https=proxy).proxy_for(URL("https://r.example/v2/"))
