import os
from pathlib import Path

import pytest

from lamina.errors import InvalidParameter
from lamina.runtime.users import Identity, identify


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (0,)[:0], "/root")),
        ("user", Identity(1000, 1000, (29,), "/home/user")),
        ("1000", Identity(1000, 1000, (29,), "/home/user")),
        ("user:video", Identity(1000, 44, (), "/home/user")),
        ("4711:42", Identity(4711, 42)),
        ("4711", Identity(4711, 0)),
    ],
)
def test_users_are_looked_up_in_the_image(rootfs: Path, user: str, expected: Identity) -> None:
    assert identify(rootfs, user) == expected


def test_more_groups(rootfs: Path) -> None:
    assert identify(rootfs, "user", ("video", "7")).groups == (29, 44, 7)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("user:none", "unable to find group none: no matching entries in group file"),
        ("broken", "unable to find user broken: no matching entries in passwd file"),
        ("4294967295", "uids and gids must be in range 0-2147483647"),
        ("-1", "unable to find user -1: no matching entries in passwd file"),
    ],
)
def test_who_does_not_exist(rootfs: Path, user: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        identify(rootfs, user)


def test_links_do_not_lead_out_of_the_image(rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("spy:x:0:0:::\n")
    passwd = rootfs / "etc/passwd"
    for target in (str(tmp_path / "passwd"), "../../passwd", "../../../../../etc/passwd"):
        passwd.unlink()
        passwd.symlink_to(target)
        with pytest.raises(InvalidParameter):
            identify(rootfs, "spy")


def test_links_within_the_image_are_followed(rootfs: Path) -> None:
    (rootfs / "usr").mkdir()
    (rootfs / "etc").rename(rootfs / "usr/etc")
    (rootfs / "etc").symlink_to("/usr/etc")
    (rootfs / "usr/etc/passwd").rename(rootfs / "usr/users")
    (rootfs / "usr/etc/passwd").symlink_to("../users")
    assert identify(rootfs, "user").uid == 1000


def test_what_is_no_regular_file_is_not_opened(rootfs: Path) -> None:
    (rootfs / "etc/passwd").unlink()
    os.mkfifo(rootfs / "etc/passwd")
    assert identify(rootfs, "4711").uid == 4711
    (rootfs / "etc/passwd").unlink()
    (rootfs / "etc/passwd").symlink_to("passwd")
    assert identify(rootfs, "4711").uid == 4711
