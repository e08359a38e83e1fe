import json

from hypothesis import given, strategies as st

from lamina.cli.plain_text import in_json, one_line, plain, written

STEERING = "\x00\x1b\x7f\x85\x9b\r\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u2029"


@given(st.text(alphabet=st.sampled_from(STEERING + "\t\nabc\\é漢")))
def test_nothing_that_steers_is_left(text: str) -> None:
    assert not set(one_line(text)) & set(STEERING + "\t\n")
    assert not set(plain(text)) & set(STEERING)
    assert not set(written(text)) & set(STEERING)
    shown = in_json(json.dumps([text], ensure_ascii=False))
    assert not set(shown) & set(STEERING)
    assert json.loads(shown) == [text]


def test_other_text_stays() -> None:
    text = "naïve 漢字 \U0001f600\tx\\y\n"
    assert plain(text) == written(text) == text


def test_what_a_command_wrote() -> None:
    assert written("\x1b[32mok\x1b[0m\r\n10%\r20%") == "ok\n10%\n20%"
