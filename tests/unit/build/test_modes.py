"""What ``--chmod`` makes of a mode: the same as the program of that name."""

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lamina.build.modes import parse_mode
from lamina.errors import InvalidParameter

WHO = st.lists(st.sampled_from("ugoa"), min_size=1, max_size=2).map("".join)
PERMISSIONS = st.one_of(
    st.lists(st.sampled_from("rwxXst"), max_size=3).map("".join), st.sampled_from("ugo")
)
ACTIONS = st.lists(st.tuples(st.sampled_from("+-="), PERMISSIONS).map("".join), min_size=1)
TEXTS = st.lists(st.tuples(WHO, ACTIONS.map("".join)).map("".join), min_size=1, max_size=3).map(
    ",".join
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("modes") / "file"
    path.touch()
    return path


@given(text=TEXTS, mode=st.integers(0, 0o7777))
@settings(max_examples=100, deadline=None)
def test_symbolic(path: Path, text: str, mode: int) -> None:
    path.chmod(mode)
    subprocess.run(["chmod", text, str(path)], check=True)
    assert oct(parse_mode(text)(mode, False)) == oct(stat.S_IMODE(path.stat().st_mode))  # noqa: FBT003


@pytest.mark.parametrize(("text", "mode"), [("0", 0), ("755", 0o755), ("04711", 0o4711)])
def test_octal(text: str, mode: int) -> None:
    assert parse_mode(text)(0o644, False) == mode  # noqa: FBT003


def test_only_directories_and_programs_become_searchable() -> None:
    change = parse_mode("a+X")
    assert change(0o600, False) == 0o600  # noqa: FBT003
    assert change(0o600, True) == 0o711  # noqa: FBT003
    assert change(0o700, False) == 0o711  # noqa: FBT003


@pytest.mark.parametrize("text", ["8", "99999", "017777", "u", "u+q", "rwx", "u=rw,", "u=gr", "-1"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid chmod parameter"):
        parse_mode(text)
