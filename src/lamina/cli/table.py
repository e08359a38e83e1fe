"""Rows for people, for scripts and for programs: a table, a template, or one JSON object a line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lamina.cli.plain_text import plain
from lamina.cli.template import Template, go_json

_MIN_WIDTH = 10
_GAP = 3

Row = Mapping[str, str]
"""The texts of one row by field name."""


@dataclass(frozen=True, slots=True)
class Table:
    """What rows look like: `headings` of all fields, and the `fields` shown unless asked else."""

    headings: Mapping[str, str]
    fields: Sequence[str]

    def render(self, rows: Iterable[Row], *, format: str = "", quiet: bool = False) -> str:
        """The lines for `rows`, each with its newline.

        `format` is empty or ``table``, ``table TEMPLATE``, ``json`` or a template; `quiet` gives
        the field ``ID`` alone. Raises InvalidParameter for a bad template.
        """
        kind, _, rest = format.strip().partition(" ")
        if kind == "json" and not rest:
            return "".join(f"{go_json(dict(sorted(row.items())))}\n" for row in rows)
        if kind not in {"", "table"}:
            template = Template(format)
            return "".join(f"{template.render(row)}\n" for row in rows)
        if quiet:
            return "".join(f"{row['ID']}\n" for row in rows)
        if rest.strip():
            template = Template(rest.strip())
            lines = [template.render(row).split("\t") for row in (self.headings, *rows)]
        else:
            lines = [[row[field] for field in self.fields] for row in (self.headings, *rows)]
        return align([[plain(cell) for cell in line] for line in lines])


def align(lines: Sequence[Sequence[str]], *, gap: int = _GAP, min_width: int = _MIN_WIDTH) -> str:
    """Cells as columns, as Go's tabwriter sets them: the last cell of a line is not padded."""
    widths: list[int] = []
    for line in lines:
        for column, cell in enumerate(line[:-1]):
            if column == len(widths):
                widths.append(min_width)
            widths[column] = max(widths[column], len(cell) + gap)
    return "".join(
        "".join(cell.ljust(widths[column]) for column, cell in enumerate(line[:-1]))
        + (line[-1] if line else "")
        + "\n"
        for line in lines
    )
