import pytest

from lamina.registry.pages import next_page


@pytest.mark.parametrize(
    ("headers", "link"),
    [
        (['</v2/x/tags/list?last=a&n=2>; rel="next"'], "/v2/x/tags/list?last=a&n=2"),
        (["</v2/a>;rel=next"], "/v2/a"),
        (['</v2/a>; rel="prev", </v2/b>; foo="x"; rel="next"'], "/v2/b"),
        (['</v2/a>; rel="prev"', '</v2/b>; rel="last next"'], "/v2/b"),
        (['</v2/a>; rel="nextish"'], None),
        (["</v2/a>; REL=NEXT"], "/v2/a"),
        (["nonsense", ""], None),
        ([], None),
    ],
)
def test_finds_the_link_to_the_next_page(headers: list[str], link: str | None) -> None:
    assert next_page(headers) == link
