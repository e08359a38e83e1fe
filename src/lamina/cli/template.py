"""The part of Go's templates that ``--format`` is used for: fields, ``json``, text between them.

``{{.ID}}``, ``{{.Config.Env}}``, ``{{json .}}``, ``{{json .Config}}``; a missing field is an error.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from lamina.cli.plain_text import in_json
from lamina.errors import InvalidParameter

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD = re.compile(r"(?P<json>json\s+)?(?P<path>\.(?:\w+(?:\.\w+)*)?)")
_ESCAPES = {r"\t": "\t", r"\n": "\n"}


class Template:
    """A parsed template. Raises InvalidParameter for what is not understood."""

    def __init__(self, text: str) -> None:
        for written, meant in _ESCAPES.items():
            text = text.replace(written, meant)
        self._parts: list[str | re.Match[str]] = []
        end = 0
        for action in _ACTION.finditer(text):
            field = _FIELD.fullmatch(action[1])
            if field is None:
                raise InvalidParameter(f"template parsing error: {action[0]} is not supported")
            self._parts += [text[end : action.start()], field]
            end = action.end()
        self._parts.append(text[end:])
        if any(isinstance(part, str) and "{{" in part for part in self._parts):
            raise InvalidParameter("template parsing error: unclosed action")

    def render(self, value: Mapping[str, Any]) -> str:
        """The text for one value. Raises InvalidParameter for a field that it lacks."""
        return "".join(
            part if isinstance(part, str) else _rendered(part, value) for part in self._parts
        )


def go_json(value: object, *, indent: int | None = None) -> str:
    """JSON as Go writes it, ``<``, ``>`` and ``&`` escaped; nothing in it steers a terminal."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return in_json(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _rendered(field: re.Match[str], value: object) -> str:
    for name in filter(None, field["path"].split(".")):
        if not isinstance(value, Mapping) or name not in value:
            raise InvalidParameter(f"template: can't evaluate field {name}")
        value = value[name]
    return go_json(value) if field["json"] else _printed(value)


def _printed(value: object) -> str:
    """A value as Go's templates print it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(_printed(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{k}:{_printed(v)}' for k, v in sorted(value.items()))}]"
    return str(value)
