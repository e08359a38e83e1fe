"""Whose a copied file is: names are looked up in the image."""

import pytest

from lamina.build.owners import Owner, parse_owner
from lamina.errors import LaminaError

FILES = {
    "etc/passwd": "root:x:0:0:::\nbin:x:2:3:::\nbroken:x\nodd:x:seven:7::\n",
    "etc/group": "root:x:0:\nbin:x:5:\nstaff:x:50:bin\n",
}


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("0", (0, 0)),
        ("1000", (1000, 1000)),
        ("1:2", (1, 2)),
        ("bin", (2, 5)),
        ("bin:staff", (2, 50)),
        ("bin:7", (2, 7)),
        ("7:staff", (7, 50)),
        ("+7:-2", (7, 4294967294)),
        ("-1", (None, None)),
        ("4294967295:4294967296", (None, 0)),
    ],
)
def test_owners(text: str, owner: Owner) -> None:
    assert parse_owner(text, FILES.__getitem__) == owner


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("nobody", "can't find uid for user nobody: no such user: nobody"),
        ("bin:nogroup", "can't find gid for group nogroup: no such group: nogroup"),
        ("broken", "can't find gid for group broken"),
        ("odd", "can't find gid for group odd"),
        ("1:2:3", "invalid chown string format: 1:2:3"),
        ("9223372036854775808", "can't find uid for user"),
        ("1_0", "can't find uid for user 1_0"),
    ],
)
def test_who_is_not_there(text: str, missing: str) -> None:
    with pytest.raises(LaminaError, match=missing):
        parse_owner(text, FILES.__getitem__)
