import pytest

from lamina.cli.image_rows import image_rows, short_id
from lamina.models import ImageSummary

ID = "sha256:" + "0123456789abcdef" * 4
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def names(tags: list[str], digests: list[str], *, shown: bool) -> list[tuple[str, str, str]]:
    image = ImageSummary(id=ID, repo_tags=tags, repo_digests=digests)
    rows = image_rows([image], now=1_700_000_000, no_trunc=False, digests=shown)
    return [(row["Repository"], row["Tag"], row["Digest"]) for row in rows]


@pytest.mark.parametrize(
    ("tags", "digests", "plain", "with_digests"),
    [
        ([], [], [("<none>", "<none>", "<none>")], [("<none>", "<none>", "<none>")]),
        (["x:1"], [], [("x", "1", "<none>")], [("x", "1", "<none>")]),
        (
            ["x:1", "x:2", "h:5000/y:1"],
            [f"x@{A}", f"x@{B}"],
            [("x", "1", "<none>"), ("x", "2", "<none>"), ("h:5000/y", "1", "<none>")],
            [
                ("x", "1", A),
                ("x", "1", B),
                ("x", "2", A),
                ("x", "2", B),
                ("h:5000/y", "1", "<none>"),
            ],
        ),
        (
            [],
            [f"x@{A}", f"x@{B}"],
            [("x", "<none>", "<none>")],
            [("x", "<none>", A), ("x", "<none>", B)],
        ),
        (["NOT A NAME", "x:1"], [], [("x", "1", "<none>")], [("x", "1", "<none>")]),
    ],
)
def test_names(
    tags: list[str],
    digests: list[str],
    plain: list[tuple[str, str, str]],
    with_digests: list[tuple[str, str, str]],
) -> None:
    assert names(tags, digests, shown=False) == plain
    assert names(tags, digests, shown=True) == with_digests


def test_sizes_and_ages() -> None:
    image = ImageSummary(
        id=ID, created=1_700_000_000 - 7200, size=123_456, shared_size=3456, containers=2
    )
    (row,) = image_rows([image], now=1_700_000_000, no_trunc=True, digests=False)
    assert (row["ID"], row["CreatedSince"], row["Size"]) == (ID, "2 hours ago", "123kB")
    assert (row["SharedSize"], row["UniqueSize"], row["Containers"]) == ("3.456kB", "120kB", "2")
    unknown = ImageSummary(id=ID)
    (row,) = image_rows([unknown], now=1_700_000_000, no_trunc=False, digests=False)
    assert (row["ID"], row["SharedSize"], row["Containers"]) == ("0123456789ab", "N/A", "N/A")


def test_short_ids() -> None:
    assert short_id(ID, no_trunc=False) == "0123456789ab"
    assert short_id(ID, no_trunc=True) == ID
    assert short_id("0123456789abcdef", no_trunc=False) == "0123456789ab"
