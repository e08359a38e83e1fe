import os
from pathlib import Path

from lamina.layers.directories import remove, size_below


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "f").write_bytes(b"12345")
    (tmp_path / "a" / "b" / "same").hardlink_to(tmp_path / "a" / "f")
    (tmp_path / "link").symlink_to("/etc")
    assert size_below(tmp_path) == 5 + len("/etc")
    assert size_below(tmp_path / "not there") == 0


def test_a_deep_directory(tmp_path: Path) -> None:
    """A container can make one that no path leads to."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, b"12345")
    os.close(file)
    os.close(fd)
    assert size_below(tmp_path) == 5
    top = os.open(tmp_path, os.O_RDONLY)
    remove("d", within=top)
    os.close(top)
    assert list(tmp_path.iterdir()) == []
