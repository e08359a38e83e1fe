import pytest

from lamina.api.errors import error_of, status_of
from lamina.errors import (
    Conflict,
    ContainerNotFound,
    CorruptData,
    EngineError,
    ExecNotFound,
    Forbidden,
    ImageNotFound,
    InvalidArchive,
    InvalidFilter,
    InvalidParameter,
    InvalidReference,
    LaminaError,
    NotFound,
    NotImplementedHere,
    Unauthorized,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidParameter("x"), 400),
        (InvalidReference(), 400),
        (Unauthorized("x"), 401),
        (Forbidden("x"), 403),
        (ImageNotFound("x:latest"), 404),
        (Conflict("x"), 409),
        (NotImplementedHere("x"), 501),
        (Unavailable("x"), 503),
        (CorruptData("x"), 500),
        (InvalidArchive("x"), 500),
        (EngineError("x", 418), 418),
        (EngineError("x"), 500),
        (OSError("x"), 500),
    ],
)
def test_a_class_has_the_status_of_its_nearest_ancestor(error: BaseException, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (404, "No such image: x:latest", ImageNotFound),
        (404, "no such image: x: No such image: x:latest", ImageNotFound),
        (404, "No such container: x", ContainerNotFound),
        (404, "No such exec instance: x", ExecNotFound),
        (404, "page not found", NotFound),
        (400, "invalid reference format", InvalidReference),
        (400, "invalid tag format", InvalidReference),
        (400, "Invalid filter 'k'", InvalidFilter),
        (400, "something else", InvalidParameter),
        (401, "x", Unauthorized),
        (403, "x", Forbidden),
        (409, "x", Conflict),
        (501, "x", NotImplementedHere),
        (503, "x", Unavailable),
        (500, "x", EngineError),
        (418, "x", EngineError),
    ],
)
def test_a_status_and_a_message_make_the_error_that_was_meant(
    status: int, message: str, expected: type[LaminaError]
) -> None:
    error = error_of(status, message)
    assert type(error) is expected
    assert status_of(error) == status


def test_a_missing_image_keeps_its_name() -> None:
    error = error_of(404, "no such image: x: No such image: x:latest")
    assert isinstance(error, ImageNotFound)
    assert error.name == "x:latest"
    assert str(error) == "No such image: x:latest"


def test_an_unknown_status_is_kept() -> None:
    error = error_of(418, "I'm a teapot")
    assert isinstance(error, EngineError)
    assert (error.status, str(error)) == (418, "I'm a teapot")
