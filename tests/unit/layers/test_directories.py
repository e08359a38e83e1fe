import os
from pathlib import Path

from lamina.layers.directories import remove_path, size_below


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "f").write_bytes(b"12345")
    (tmp_path / "a" / "b" / "same").hardlink_to(tmp_path / "a" / "f")
    (tmp_path / "link").symlink_to("/etc")
    assert size_below(tmp_path) == 5 + len("/etc")
    assert size_below(tmp_path / "not there") == 0


def make_deep(directory: Path) -> None:
    """A file that no path leads to, as a container can make it."""
    fd = os.open(directory, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, b"12345")
    os.close(file)
    os.close(fd)


def test_a_deep_directory(tmp_path: Path) -> None:
    make_deep(tmp_path)
    assert size_below(tmp_path) == 5
    remove_path(tmp_path / "d")
    assert list(tmp_path.iterdir()) == []
