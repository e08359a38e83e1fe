import copy
import pickle

import pytest

from lamina import errors
from lamina.errors import (
    BlobNotFound,
    ContainerNotFound,
    CorruptData,
    DigestMismatch,
    EngineError,
    ExecNotFound,
    ImageNotFound,
    InvalidManifest,
    InvalidParameter,
    InvalidReference,
    LaminaError,
    NotFound,
    SizeMismatch,
    UnsupportedMediaType,
)
from lamina.oci.digest import Digest

A = Digest.of(b"a")
B = Digest.of(b"b")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImageNotFound("busybox:latest"), "No such image: busybox:latest"),
        (ContainerNotFound("c"), "No such container: c"),
        (ExecNotFound("e"), "No such exec instance: e"),
        (BlobNotFound(A), f"blob {A} not found"),
        (DigestMismatch(A, B), f"digest mismatch: expected {A}, got {B}"),
        (SizeMismatch(3, 4), "size mismatch: expected 3 bytes, got 4"),
        (InvalidReference(text="A"), "invalid reference format"),
        (UnsupportedMediaType("no", media_type="text/plain"), "no"),
        (EngineError("boom", 500), "boom"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_keeps_its_message_and_data_through_copies(
    error: LaminaError, message: str
) -> None:
    for twin in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(twin) is type(error)
        assert twin.message == str(twin) == message
        assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (InvalidReference(), InvalidParameter),
        (ImageNotFound("a"), NotFound),
        (ContainerNotFound("c"), NotFound),
        (ExecNotFound("e"), NotFound),
        (BlobNotFound(A), NotFound),
        (UnsupportedMediaType(""), CorruptData),
        (InvalidManifest(""), CorruptData),
        (DigestMismatch(A, B), CorruptData),
    ],
)
def test_a_caller_may_catch_the_kind(error: LaminaError, parent: type[LaminaError]) -> None:
    with pytest.raises(parent):
        raise error


def test_the_tree_in_the_docstring_shows_every_class() -> None:
    drawn = {
        line.split("── ")[1].split()[0] for line in str(errors.__doc__).splitlines() if "──" in line
    }
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, LaminaError)
    }
    assert drawn | {"LaminaError"} == classes
    assert classes <= set(errors.__all__)
