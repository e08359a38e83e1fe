"""`build_checks.txt` holds Dockerfiles and, below dashes, the warnings about each."""

from pathlib import Path

import pytest

from lamina.dockerfile import check_rules
from lamina.dockerfile.check_rules import Rule
from lamina.dockerfile.checks import BaseImage, CheckInput, CheckOptions, check, verdict
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import parse_dockerfile
from lamina.oci.platform import Platform

CASES = (Path(__file__).parent / "build_checks.txt").read_text("utf-8").split("\n====\n")
ALL = CheckOptions(experimental_all=True)


def warnings(text: str, known: CheckInput | None = None) -> list[str]:
    found = check(parse_dockerfile(text), known or CheckInput(options=ALL))
    return [str(warning) for warning in found]


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str) -> None:
    text, _, expected = case.partition("\n----\n")
    assert warnings(text) == expected.splitlines()


def test_there_are_all_rules() -> None:
    rules = [value for value in vars(check_rules).values() if isinstance(value, Rule)]
    assert len(rules) == len({rule.name for rule in rules}) == 22
    assert [rule.name for rule in rules if rule.experimental] == ["InvalidDefinitionDescription"]
    assert all(rule.url.startswith("https://docs.docker.com/go/") for rule in rules)


def test_base_images_tell_their_environment_and_shell() -> None:
    bases = {"b:1": BaseImage(("HOME=/r",), ("sh",))}
    text = "ARG T=1\nFROM b:$T\nCOPY $HOME $HOEM\nCMD x"
    assert warnings(text, CheckInput(bases=bases)) == [
        "UndefinedVar: Usage of undefined variable '$HOEM' (did you mean $HOME?) (line 3)"
    ]


def test_base_images_for_another_platform() -> None:
    bases = {"b": BaseImage(platform=Platform("linux", "arm64"))}
    text = (
        "FROM b\nFROM --platform=linux/$TARGETARCH b AS c\nFROM --platform=linux/arm64 b AS arm64"
    )
    assert warnings(text, CheckInput(bases=bases)) == [
        f'InvalidBaseImagePlatform: Base image b was pulled with platform "linux/arm64", expected '
        f'"linux/amd64" for current build (line {line})'
        for line in (1, 2)
    ]


def test_files_that_are_ignored() -> None:
    text = "FROM scratch AS a\nCOPY ./x/y z .\nADD https://h/x x/ /\nCOPY --from=a x /"
    ignore = IgnorePatterns(["x"])
    assert warnings(text, CheckInput(ignore=ignore)) == [
        'CopyIgnoredFile: Attempting to Copy file "x/y" that is excluded by .dockerignore (line 2)',
        'CopyIgnoredFile: Attempting to Add file "x" that is excluded by .dockerignore (line 3)',
    ]
    assert warnings(text, CheckInput(ignore=IgnorePatterns(["x", "!x/y"]))) == []


def test_only_some_stages_may_be_looked_into() -> None:
    text = "FROM scratch\nCMD a\nFROM scratch\nCMD b"
    (warning,) = warnings(text, CheckInput(stages={1}))
    assert warning.endswith("(line 4)")


def test_arguments_given_to_the_build_count() -> None:
    text = "ARG B\nFROM scratch$B\nARG X\nCOPY $X /"
    assert warnings(text, CheckInput(build_arguments={"X": "a"})) == []


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("skip=all", set()),
        ("skip=JSONArgsRecommended", {"FromAsCasing"}),
        ("skip=JSONArgsRecommended, FromAsCasing", set()),
        ("skip=all;experimental=InvalidDefinitionDescription", {"InvalidDefinitionDescription"}),
        (
            "experimental=all",
            {"InvalidDefinitionDescription", "FromAsCasing", "JSONArgsRecommended"},
        ),
        ("error=true", {"FromAsCasing", "JSONArgsRecommended"}),
    ],
)
def test_the_check_directive(directive: str, rules: set[str]) -> None:
    dockerfile = parse_dockerfile(f"# check={directive}\n# bad\nFROM scratch as a\nCMD x")
    found = check(dockerfile)
    assert {warning.rule.name for warning in found} == rules
    options = dockerfile.document.check_options
    if not options.error:
        verdict(found, options)
        return
    with pytest.raises(DockerfileError) as caught:
        verdict(found, options)
    expected = "lint violation found for rules: FromAsCasing, JSONArgsRecommended"
    assert str(caught.value) == expected
    assert caught.value.lines.start == 3
    verdict((), options)
