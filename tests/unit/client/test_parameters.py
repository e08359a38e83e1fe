import json

import pytest

from lamina.client.parameters import encode_filters
from lamina.image_api import Filters


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"dangling": True}, {"dangling": {"true": True}}),
        ({"dangling": False}, {"dangling": {"false": True}}),
        ({"label": "a=b"}, {"label": {"a=b": True}}),
        (
            {"label": ["a", "b=ü"], "until": "1h"},
            {"label": {"a": True, "b=ü": True}, "until": {"1h": True}},
        ),
        ({"reference": ()}, {"reference": {}}),
    ],
)
def test_filters(filters: Filters, expected: object) -> None:
    assert json.loads(encode_filters(filters)) == expected


def test_no_filters() -> None:
    assert encode_filters(None) == encode_filters({}) == ""
