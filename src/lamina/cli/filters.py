"""``--filter`` as it is written on a command line."""

from collections.abc import Iterable

from lamina.errors import InvalidParameter
from lamina.image_api import Filters


def parse_filters(texts: Iterable[str]) -> Filters:
    """``key=value`` texts, repeatable for one key. Raises InvalidParameter."""
    filters: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidParameter(
                f'invalid argument "{text}" for "-f, --filter" flag:'
                " invalid filter: expected format is name=value"
            )
        filters.setdefault(key.strip().lower(), []).append(value.strip())
    return filters
