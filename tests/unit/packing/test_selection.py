import pytest

from lamina.dockerfile.source import DockerfileError
from lamina.packing.selection import AddedDockerfile, Selection, hiding


@pytest.mark.parametrize(
    ("ignore", "sent", "left_out"),
    [
        ("", ["a", "Dockerfile", ".dockerignore"], []),
        ("*", ["Dockerfile", ".dockerignore"], ["a", "d/a"]),
        ("*\n!d/keep", ["d/keep", "Dockerfile"], ["d/other"]),
        ("Dockerfile*\n.dockerignore", ["Dockerfile", ".dockerignore"], ["Dockerfile.old"]),
        ("# a\n**/*.o\n!k.o", ["k.o", "a"], ["x.o", "d/x.o"]),
    ],
)
def test_what_is_sent(ignore: str, sent: list[str], left_out: list[str]) -> None:
    selection = Selection.of(ignore, needed=(".dockerignore", "Dockerfile"))
    assert [path for path in sent if not selection.sends(path)] == []
    assert [path for path in left_out if selection.sends(path)] == []


def test_walks_only_where_something_may_be_sent() -> None:
    assert not Selection.of("d", needed=()).walks_into("d")
    assert Selection.of("d", needed=("d/Dockerfile",)).walks_into("d")
    assert not Selection.of("d\ne", needed=("d/Dockerfile",)).walks_into("e")


def test_malformed_patterns() -> None:
    with pytest.raises(DockerfileError):
        Selection.of("a\n!\n", needed=())


def test_an_added_dockerfile_is_hidden_with_what_was_ignored() -> None:
    added = AddedDockerfile(".dockerfile.0", b"FROM scratch\n")
    assert hiding("*.o\n", added) == b"*.o\n\n.dockerfile.0\n"
    assert hiding(None, added) == b".dockerignore\n.dockerfile.0\n"
