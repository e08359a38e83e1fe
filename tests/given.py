"""Which parameters of the API's operations a request gives, and how a test says that it does so.

`gives` marks a test, or one set of its arguments, with an operation and some of its parameters.
`assert_given` holds a test to it; the page of compatibility names tests by what they say.
"""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from _pytest.mark import ParameterSet

from tests.operations import OPERATIONS
from tests.real.relay import Asked

__all__ = ["assert_given", "given", "gives", "said_to_give", "stories"]

T = TypeVar("T")

Given = Mapping[str, set[str]]
"""Parameters by operation."""

_PATHS: Final = (
    ("POST", "/build/prune", "build_prune"),
    ("POST", "/build", "image_build"),
    ("POST", "/commit", "image_commit"),
    ("POST", "/images/create", "image_create"),
    ("GET", "/images/get", "image_get_all"),
    ("GET", "/images/json", "image_list"),
    ("POST", "/images/load", "image_load"),
    ("POST", "/images/prune", "image_prune"),
    ("GET", "/images/search", "image_search"),
    ("GET", "/images/(.+)/get", "image_get"),
    ("GET", "/images/(.+)/history", "image_history"),
    ("GET", "/images/(.+)/json", "image_inspect"),
    ("POST", "/images/(.+)/push", "image_push"),
    ("POST", "/images/(.+)/tag", "image_tag"),
    ("DELETE", "/images/(.+)", "image_delete"),
)

_QUERY: Final = {
    "fromimage": "from_image",
    "fromsrc": "from_src",
    "keep-storage": "keep_storage",
    "reserved-space": "keep_storage",
    "shared-size": "shared_size",
}
"""Parameters of queries, in small letters, that the document's operations have by another name."""

_BODIES: Final = {
    "image_build": "input_stream",
    "image_commit": "container_config",
    "image_create": "input_image",
    "image_load": "images_tarball",
}

_NOTHING: Final = {"", "0", "false", "[]", "{}", "null"}


def given(asked: Iterable[Asked]) -> Given:
    """The parameters that requests give with another value than their default."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in asked:
        path = re.sub(r"^/v[\d.]+", "", urlsplit(one.target).path)
        for method, pattern, operation in _PATHS:
            if method == one.method and (match := re.fullmatch(pattern, path)):
                names = {*_of_query(one, operation), *_of_headers(one)}
                if match.groups():
                    names.add("name")
                if one.body.strip() not in (b"", b"null", b"{}"):
                    names.add(_BODIES.get(operation, ""))
                found[operation] |= names.intersection(OPERATIONS[operation].parameters)
                break
    return found


def _of_query(asked: Asked, operation: str) -> Iterable[str]:
    defaults = OPERATIONS[operation].defaults
    for key, value in parse_qsl(urlsplit(asked.target).query, keep_blank_values=True):
        name = _QUERY.get(key.lower(), key)
        default = defaults.get(name)
        is_nothing = value.lower() in _NOTHING
        is_default = is_nothing if default is not True else not is_nothing
        if not is_default and value != default:
            yield name


def _of_headers(asked: Asked) -> Iterable[str]:
    if "content-type" in asked.headers:
        yield "content_type"
    for name in ("x-registry-auth", "x-registry-config"):
        if _has_credentials(asked.headers.get(name, "")):
            yield name.replace("-", "_")


def _has_credentials(text: str) -> bool:
    try:
        # Some clients use the other alphabet of base64.
        text = text.replace("+", "-").replace("/", "_")
        return any(json.loads(base64.urlsafe_b64decode(text + "==")).values())
    except ValueError:
        # aiodocker says FIXME where it has none.
        return False


def gives(operation: str, *parameters: str) -> pytest.MarkDecorator:
    """Say that a test gives these parameters of an operation to an engine."""
    assert set(parameters) <= set(OPERATIONS[operation].parameters)
    return pytest.mark.gives(operation, *parameters)


def stories(
    told: Mapping[str, T], said: Mapping[str, Sequence[pytest.MarkDecorator]]
) -> list[ParameterSet]:
    """Stories by name as sets of arguments, some of which say what they give."""
    assert said.keys() <= told.keys()
    return [pytest.param(story, id=name, marks=said.get(name, ())) for name, story in told.items()]


def assert_given(node: pytest.Item, asked: Iterable[Asked]) -> None:
    """Fail unless what a test has asked gives all that the test says."""
    found = given(asked)
    for mark in node.iter_markers("gives"):
        operation, *parameters = mark.args
        missing = set(parameters) - found.get(operation, set())
        assert not missing, f"{node.name} did not give {operation}'s {', '.join(sorted(missing))}"


def said_to_give(test: Callable[..., object]) -> Given:
    """What a test's marks say, over all sets of its arguments."""
    marks: list[pytest.Mark] = list(getattr(test, "pytestmark", ()))
    found: dict[str, set[str]] = defaultdict(set)
    for mark in marks:
        if mark.name == "parametrize":
            for values in mark.args[1]:
                marks += getattr(values, "marks", ())
        if mark.name == "gives":
            operation, *parameters = mark.args
            found[operation] |= set(parameters)
    return found
