import pytest

from lamina.dockerfile.ports import parse_ports, split_protocol
from lamina.dockerfile.source import DockerfileError


@pytest.mark.parametrize(
    ("specs", "ports"),
    [
        (["80"], ("80/tcp",)),
        (["80/UDP", "80/udp", "81/sctp"], ("80/udp", "81/sctp")),
        (["8000-8002"], ("8000/tcp", "8001/tcp", "8002/tcp")),
        (["127.0.0.1:1-2:80"], ("80/tcp",)),
        (["[::1]:5:0065535"], ("65535/tcp",)),
        ([], ()),
    ],
)
def test_ports(specs: list[str], ports: tuple[str, ...]) -> None:
    assert parse_ports(specs) == ports


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("65536", "Invalid containerPort: 65536"),
        ("1-2-3", "Invalid containerPort: 1-2-3"),
        ("٣", "Invalid containerPort: ٣"),
        ("9" * 5000, "Invalid containerPort: " + "9" * 5000),
        ("80/x", "Invalid proto: x"),
        ("x:80", "Invalid hostPort: x"),
        ("a.b:1:2", "Invalid ip address: a.b"),
        ("", "No port specified: <empty>"),
        ("1-3:80-81", "Invalid ranges specified for container and host Ports: 80-81 and 1-3"),
    ],
)
def test_what_is_no_port(spec: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_ports([spec])
    assert str(caught.value) == message


def test_protocols() -> None:
    assert split_protocol("80/udp/x") == ("80", "udp")
    assert split_protocol("80/") == ("80", "tcp")
