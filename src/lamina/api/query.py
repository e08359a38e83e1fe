"""The parameters of a request's query, by Docker's rules."""

import re
from urllib.parse import parse_qs

import msgspec

from lamina.errors import InvalidFilter, InvalidParameter

_FALSE = frozenset({"", "0", "no", "false", "none"})
_MAX_PARAMETERS = 20_000
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})[^&]{0,2}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")

_decode_filters = msgspec.json.Decoder(dict[str, dict[str, bool] | list[str] | None] | None).decode


class Query:
    """A parsed query string; the first of several values counts where one is asked for.

    Raises InvalidParameter for what Go does not read, and for absurdly many parameters.
    """

    def __init__(self, text: str) -> None:
        if ";" in text:
            raise InvalidParameter("invalid semicolon separator in query")
        if (bad := _BAD_ESCAPE.search(text)) is not None:
            raise InvalidParameter(f'invalid URL escape "{bad[0]}"')
        try:
            self._values: dict[str, list[str]] = (
                parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
                if text
                else {}
            )
        except ValueError as error:
            raise InvalidParameter(f"invalid query: {error}") from error

    def text(self, name: str) -> str:
        """The value of `name`, empty if it is not given."""
        values = self._values.get(name)
        return values[0] if values else ""

    def texts(self, name: str) -> list[str]:
        """Every value of a parameter that may be repeated."""
        return self._values.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Docker's booleans: empty, 0, no, false, none (in any case) are false, all else true."""
        values = self._values.get(name)
        if values is None:
            return default
        return values[0].strip().lower() not in _FALSE

    def number(self, name: str) -> int:
        """A whole number; 0 for anything else, as Docker has it."""
        text = self.text(name).strip()
        number = int(text) if _INTEGER.fullmatch(text) else 0
        return number if -(1 << 63) <= number < 1 << 63 else 0

    def integer(self, name: str) -> int | None:
        """A whole number, None if it is not given. Raises InvalidParameter for anything else."""
        text = self.text(name)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise InvalidParameter(f'strconv.Atoi: parsing "{text[:64]}": invalid syntax')
        if not -(1 << 63) <= (number := int(text)) < 1 << 63:
            raise InvalidParameter(f'strconv.Atoi: parsing "{text}": value out of range')
        return number

    def filters(self) -> dict[str, list[str]]:
        """``filters`` in either JSON form: ``{"k": {"v": true}}``, or the older ``{"k": ["v"]}``.

        Raises InvalidFilter for anything else; which filters there are is the engine's to say.
        """
        text = self.text("filters")
        if not text:
            return {}
        try:
            filters = _decode_filters(text) or {}
        except msgspec.DecodeError as error:
            raise InvalidFilter from error
        return {name: list(dict.fromkeys(values or ())) for name, values in filters.items()}
