import pytest

from lamina.cli.template import Template, go_json
from lamina.errors import InvalidParameter

VALUE = {
    "ID": "abc",
    "Empty": None,
    "Flag": True,
    "List": ["a", 1, None],
    "Map": {"b": {"c": "<&>"}, "a": 5},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{{.ID}}", "abc"),
        ("{{ .ID }}/{{.ID}}", "abc/abc"),
        ("{{- .ID -}}", "abc"),
        (r"{{.ID}}\t{{.Flag}}\n", "abc\ttrue\n"),
        ("{{.Map.b.c}}", "<&>"),
        ("{{.List}}", "[a 1 <no value>]"),
        ("{{.Map}}", "map[a:5 b:map[c:<&>]]"),
        ("{{.Empty}}", "<no value>"),
        ("{{json .List}}", '["a",1,null]'),
        ("{{json .Map.b}}", '{"c":"\\u003c\\u0026\\u003e"}'),
        ("{{json .ID}}", '"abc"'),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert Template(template).render(VALUE) == text


def test_the_whole_value() -> None:
    assert Template("{{json .}}").render({"a": "ü"}) == '{"a":"ü"}'


@pytest.mark.parametrize("template", ["{{range .X}}", "{{.ID | upper}}", "{{}}", "{{.ID", "{{id}}"])
def test_what_is_not_understood(template: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^template parsing error"):
        Template(template)


@pytest.mark.parametrize("template", ["{{.Missing}}", "{{.ID.More}}", "{{json .Map.x}}"])
def test_missing_fields(template: str) -> None:
    with pytest.raises(InvalidParameter, match="can't evaluate field"):
        Template(template).render(VALUE)


def test_json_as_go_writes_it() -> None:
    assert go_json({"a": "<none> & é"}) == '{"a":"\\u003cnone\\u003e \\u0026 é"}'
