import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.shellwords import MAX_NESTING, Expander, environment
from lamina.dockerfile.source import DockerfileError

ENV = {"A": "abc", "P": "/usr/local/bin", "E": "", "TAR": "x.tar.gz", "S": "a b  c", "Q": "it's"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$A", "abc"),
        ("${A}", "abc"),
        ("x${A}y$A.z", "xabcyabc.z"),
        ("$Ax", ""),
        ("$A-$B", "abc-"),
        ("$", "$"),
        ("$$A", "A"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ('"$A"', "abc"),
        ('"\\$A \\" \\x"', '$A " \\x'),
        ("a\\ b", "a b"),
        ("trailing\\", "trailing"),
        ('"trailing\\\\"', "trailing\\"),
        ("${E:-d}|${E-d}|${U:-d}|${U-d}|${A:-d}|${A-d}", "d||d|d|abc|abc"),
        ("${E:+d}|${E+d}|${U:+d}|${U+d}|${A:+d}|${A+d}", "|d|||d|d"),
        ("${A:?x}|${A?x}|${E?x}", "abc|abc|"),
        ("${U:-${A}}", "abc"),
        ("${U:-'$A'}", "$A"),
        ('${U:-"a}b"}', "a}b"),
        ("${U:-a\\}b}", "a}b"),
        ("${P#/}", "usr/local/bin"),
        ("${P#*/}", "usr/local/bin"),
        ("${P##*/}", "bin"),
        ("${P%/*}", "/usr/local"),
        ("${P%%/*}", ""),
        ("${P%nothing}", "/usr/local/bin"),
        ("${TAR%.*}", "x.tar"),
        ("${TAR%%.*}", "x"),
        ("${TAR#?}", ".tar.gz"),
        ("${TAR/./-}", "x-tar.gz"),
        ("${TAR//./-}", "x-tar-gz"),
        ("${P//\\//:}", ":usr:local:bin"),
        ("${A/*/x}", "x"),
        ("${A//?/x}", "xxx"),
        ("${A//z/x}", "abc"),
        ("${S// /}", "abc"),
        ("${U#x}${U/a/b}", ""),
        ("$1$12", ""),
        ("$@x$*y", "xy"),
        ("日本${A}語", "日本abc語"),
    ],
)
def test_expansion(text: str, result: str) -> None:
    assert Expander().expand(text, ENV).text == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${U:?}", "U: is not allowed to be unset"),
        ("${U?}", "U: is not allowed to be unset"),
        ("${U:?tell $A}", "U: tell abc"),
        ("${E:?}", "E: is not allowed to be empty"),
        ("${", "syntax error: missing '}'"),
        ("${A", "unsupported modifier (\ufffd) in substitution"),
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${{A}}", "syntax error: bad substitution"),
        ("${A:-x", "syntax error: missing '}'"),
        ("${A/x}", "syntax error: missing '/' in ${}"),
        ("${A/x/y", "syntax error: missing '}'"),
        ("${A~}", "unsupported modifier (~) in substitution"),
        ("${A:=x}", "unsupported modifier (:=) in substitution"),
        ("${A#\\q}", "invalid pattern (\\q) in substitution: invalid escape '\\q'"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ('"x', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_what_has_no_meaning(text: str, reason: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        Expander().expand(text, ENV)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert str(caught.value) == f'failed to process "{quoted}": {reason}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b  c", ("a", "b", "c")),
        ("$S", ("a", "b", "c")),
        ('"$S"', ("a b  c",)),
        ("x$S", ("xa", "b", "c")),
        ("a\\ b c", ("a b", "c")),
        ("'a b'c d", ("a bc", "d")),
        ('a "" b', ("a", "b")),
        ("", ()),
        (" \t ", ()),
        ("$U", ()),
    ],
)
def test_words_are_split_after_expansion(text: str, words: tuple[str, ...]) -> None:
    assert Expander().expand(text, ENV).words == words


def test_another_escape_character() -> None:
    assert Expander(escape="`").expand("`$A \\$A C:\\x `` ", ENV).text == "$A \\abc C:\\x ` "


def test_quotes_escapes_and_unset_variables_can_be_kept() -> None:
    keeping = Expander(keep_quotes=True, keep_escapes=True, keep_unset=True)
    for text in ("'a' \"b\" \\c", "$U ${U} ${U:-x} ${U/a/b} ${U%%x}", '"\\$x"'):
        assert keeping.expand(text, {}).text == text
    assert Expander(quotes_are_text=True).expand("'$A' \"", ENV).text == "'abc' \""


def test_variables_asked_for_are_told() -> None:
    expansion = Expander().expand("$A ${U} '${V}' ${W:-$A}", ENV)
    assert expansion.matched == {"A"}
    assert expansion.unmatched == {"U", "W"}


def test_of_two_entries_with_one_name_the_last_counts() -> None:
    assert environment(["A=1", "B", "A=2=3"]) == {"A": "2=3", "B": ""}


def test_nesting_has_a_bound() -> None:
    deep = "${U:-" * 10_000
    with pytest.raises(DockerfileError, match="nested more than"):
        Expander().expand(deep + "}" * 10_000, {})
    fine = "${U:-" * (MAX_NESTING - 1) + "x" + "}" * (MAX_NESTING - 1)
    assert Expander().expand(fine, {}).text == "x"


@given(st.text(max_size=60), st.sampled_from("\\`"))
def test_any_text_expands_or_is_refused(text: str, escape: str) -> None:
    try:
        expansion = Expander(escape=escape).expand(text, {"a": "1", "b": "x y"})
    except DockerfileError:
        return
    assert all(expansion.words)


@given(st.text(alphabet="ab${}:-+?#%/'\"\\ *", max_size=40))
def test_any_substitution_expands_or_is_refused(text: str) -> None:
    try:
        Expander().expand(text, {"a": "aba", "b": "x y"})
    except DockerfileError as error:
        assert str(error).startswith("failed to process ")  # noqa: PT017 (it may also succeed)


@given(st.text(alphabet=st.characters(exclude_characters="$'\"\\", exclude_categories=["Cs"])))
def test_text_without_special_characters_stays(text: str) -> None:
    assert Expander().expand(text, {}).text == text


@given(st.text(max_size=30))
def test_what_is_quoted_comes_out_as_it_went_in(text: str) -> None:
    if "'" not in text:
        assert Expander().expand(f"'{text}'", {}).text == text
    escaped = "".join(f"\\{char}" for char in text)
    assert Expander().expand(escaped, {}).text == text
