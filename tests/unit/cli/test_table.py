import json

import pytest

from lamina.cli.table import Table, align
from lamina.errors import InvalidParameter

TABLE = Table({"ID": "IMAGE ID", "Name": "NAME", "Size": "SIZE"}, ["Name", "ID", "Size"])
ROWS = [
    {"ID": "1", "Name": "short", "Size": "5B"},
    {"ID": "2", "Name": "a rather long name", "Size": "<none>"},
]


def test_columns() -> None:
    assert TABLE.render(ROWS) == (
        "NAME                 IMAGE ID   SIZE\n"
        "short                1          5B\n"
        "a rather long name   2          <none>\n"
    )
    assert TABLE.render(ROWS, format="table") == TABLE.render(ROWS)


def test_no_rows() -> None:
    assert TABLE.render([]) == "NAME      IMAGE ID   SIZE\n"
    assert TABLE.render([], quiet=True) == TABLE.render([], format="json") == ""


def test_quiet() -> None:
    assert TABLE.render(ROWS, quiet=True) == "1\n2\n"


def test_json() -> None:
    assert TABLE.render(ROWS, format="json") == (
        '{"ID":"1","Name":"short","Size":"5B"}\n'
        '{"ID":"2","Name":"a rather long name","Size":"\\u003cnone\\u003e"}\n'
    )


def test_templates() -> None:
    assert TABLE.render(ROWS, format="{{.ID}}={{.Name}}") == "1=short\n2=a rather long name\n"
    assert TABLE.render(ROWS, format=r"table {{.Size}}\t{{.ID}}") == (
        "SIZE      IMAGE ID\n5B        1\n<none>    2\n"
    )
    with pytest.raises(InvalidParameter, match="can't evaluate field Nope"):
        TABLE.render(ROWS, format="{{.Nope}}")


def test_names_do_not_steer_the_terminal() -> None:
    row = {"ID": "1", "Name": "\x1b[31mred\x07", "Size": "\x7f\x9b"}
    assert "\\x1b[31mred\\x07" in TABLE.render([row])
    assert not set(TABLE.render([row])) & {"\x1b", "\x07", "\x7f", "\x9b"}


def test_json_does_not_steer_the_terminal() -> None:
    row = {"ID": "1", "Name": "\x1b[31m\x7f\x9b\u202ea", "Size": ""}
    shown = TABLE.render([row], format="json")
    assert "\\u001b[31m\\u007f\\u009b\\u202ea" in shown
    assert json.loads(shown) == row


def test_the_last_cell_is_not_padded() -> None:
    assert align([["a", "b"], ["c"], []]) == "a         b\nc\n\n"
