import pytest

from lamina.cli.filters import parse_filters
from lamina.errors import InvalidParameter


def test_filters() -> None:
    assert parse_filters([]) == {}
    assert parse_filters(["label=a=b", "label= c", "Dangling=true", "x="]) == {
        "label": ["a=b", "c"],
        "dangling": ["true"],
        "x": [""],
    }


def test_a_filter_has_a_value() -> None:
    with pytest.raises(InvalidParameter, match="expected format is name=value"):
        parse_filters(["label"])
