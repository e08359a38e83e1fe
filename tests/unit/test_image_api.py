"""`ImageApi` is the API's document: every operation and every parameter, in both halves."""

import inspect
import typing

import msgspec
import pytest

from lamina import Client, Engine, ImageApi, models
from tests.operations import OPERATIONS, Operation

ALWAYS_NEEDED = {
    # The document has these for the HTTP form; without them there is nothing to do.
    ("image_commit", "container"),
    ("image_get_all", "names"),
    ("image_load", "images_tarball"),
    ("image_tag", "repo"),
}
NOT_NEEDED = {
    # Said to be required, and every engine does without it.
    ("image_push", "x_registry_auth"),
}

operations = pytest.mark.parametrize(("name", "operation"), OPERATIONS.items())


def parameters(of: type, name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a method by name, without ``self``."""
    found = dict(inspect.signature(getattr(of, name)).parameters)
    del found["self"]
    return found


def test_the_operations_are_these() -> None:
    public = {name for name in vars(ImageApi) if not name.startswith("_")}
    assert len(OPERATIONS) == 15
    assert public == OPERATIONS.keys()


@operations
def test_parameters(name: str, operation: Operation) -> None:
    found = parameters(ImageApi, name)
    assert set(operation.parameters) <= found.keys()
    needed = {
        parameter.name for parameter in found.values() if parameter.default is parameter.empty
    }
    assert needed == {
        parameter
        for parameter in operation.parameters
        if (parameter in operation.required or (name, parameter) in ALWAYS_NEEDED)
        and (name, parameter) not in NOT_NEEDED
    }
    for parameter, default in operation.defaults.items():
        assert found[parameter].default == default, parameter


@operations
@pytest.mark.parametrize("half", [Engine, Client])
def test_both_halves_have_them(half: type, name: str, operation: Operation) -> None:
    # The types are mypy's business.
    found, wanted = parameters(half, name), parameters(ImageApi, name)
    assert set(operation.parameters) <= found.keys()
    assert [(p.name, p.kind, p.default) for p in found.values()] == [
        (p.name, p.kind, p.default) for p in wanted.values()
    ]


@operations
def test_answers(name: str, operation: Operation) -> None:
    if operation.model:
        answer = typing.get_type_hints(getattr(ImageApi, name))["return"]
        (model,) = typing.get_args(answer) or (answer,)
        assert model is getattr(models, operation.model)


FIELDS = {
    "BuildPruneResponse": "CachesDeleted SpaceReclaimed",
    "HistoryResponseItem": "Id Created CreatedBy Tags Size Comment",
    "IdResponse": "Id",
    "ImageDeleteResponseItem": "Untagged Deleted",
    "ImageInspect": "Id RepoTags RepoDigests Parent Comment Created Container ContainerConfig"
    " DockerVersion Author Config Architecture Variant Os OsVersion Size VirtualSize GraphDriver"
    " RootFS Metadata",
    "ImagePruneResponse": "ImagesDeleted SpaceReclaimed",
    "ImageSearchResponseItem": "description is_official is_automated name star_count",
    "ImageSummary": "Id ParentId RepoTags RepoDigests Created Size SharedSize VirtualSize Labels"
    " Containers",
}
"""The keys of the answers, as the API's schemas have them."""


def test_all_answers_have_their_fields() -> None:
    assert FIELDS.keys() == {o.model for o in OPERATIONS.values() if o.model}


@pytest.mark.parametrize(("model", "fields"), FIELDS.items())
def test_fields(model: str, fields: str) -> None:
    found = {field.encode_name for field in msgspec.structs.fields(getattr(models, model))}
    assert set(fields.split()) <= found
