from pathlib import Path

import pytest

from lamina.errors import InvalidParameter
from lamina.runtime.hostfiles import hosts_text, resolver_text
from lamina.runtime.spec import ProcessSpec, SandboxSpec


def spec(*extra_hosts: str, hostname: str = "name", domainname: str = "") -> SandboxSpec:
    return SandboxSpec(
        rootfs=Path("/"),
        process=ProcessSpec(argv=("true",)),
        hostname=hostname,
        domainname=domainname,
        extra_hosts=extra_hosts,
    )


def test_hosts() -> None:
    lines = hosts_text(spec("a:1.2.3.4", "b:::1", "c=::2", domainname="example.org")).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-4:] == [
        "127.0.1.1\tname.example.org name",
        "1.2.3.4\ta",
        "::1\tb",
        "::2\tc",
    ]


@pytest.mark.parametrize("text", ["a", "a:", ":1.2.3.4", "a:1.2.3", "a:1.2.3.4\n5.6.7.8\tb"])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(InvalidParameter):
        hosts_text(spec(text))


def test_a_resolver_of_the_hosts_own_is_of_no_use_inside() -> None:
    host = "# comment\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a b\noptions ndots:2\n"
    assert resolver_text(host, local=False) == "nameserver 10.0.0.1\nsearch a b\noptions ndots:2\n"
    assert resolver_text(host, local=True).startswith("nameserver 127.0.0.53\n")
    assert resolver_text("nameserver ::1\n", local=False).startswith("nameserver 8.8.8.8\n")


def test_what_is_asked_for_goes_before_the_hosts() -> None:
    host = "nameserver 10.0.0.1\nsearch a\n"
    asked = resolver_text(host, servers=("9.9.9.9",), search=("b",), options=("x",), local=False)
    assert asked == "nameserver 9.9.9.9\nsearch b\noptions x\n"
    assert resolver_text(host, search=(".",), local=False) == "nameserver 10.0.0.1\n"
