"""The only table between error classes and HTTP statuses, read in both directions.

The server asks `status_of` and `words_of`, the client `error_of`. A class that is not in the table
has the status of its nearest ancestor in it, and 500 where there is none.
"""

from lamina.errors import (
    Conflict,
    ContainerNotFound,
    EngineError,
    ExecNotFound,
    Forbidden,
    ImageNotFound,
    InvalidFilter,
    InvalidParameter,
    InvalidReference,
    LaminaError,
    NotFound,
    NotImplementedHere,
    Unauthorized,
    Unavailable,
)

_STATUSES: dict[type[LaminaError], int] = {
    InvalidParameter: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    NotImplementedHere: 501,
    Unavailable: 503,
}

_CLASSES = {status: error for error, status in _STATUSES.items()}

_NO_SUCH_IMAGE = "No such image: "
_NO_SUCH_CONTAINER = "No such container: "
_NO_SUCH_EXEC = "No such exec instance: "
_BAD_REFERENCES = (
    "invalid reference format",
    "invalid repository name",
    "invalid tag format",
    "cannot import digest reference",
    "refusing to create a",
)


def status_of(error: BaseException) -> int:
    """The HTTP status that tells of `error`: 500 for whatever is no mistake of the caller."""
    if isinstance(error, EngineError):
        return error.status or 500
    for ancestor in type(error).__mro__:
        if (status := _STATUSES.get(ancestor)) is not None:
            return status
    return 500


def words_of(error: BaseException) -> str:
    """What a reply says of `error`; of one of the operating system, what a dockerd says."""
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror[:1].lower() + error.strerror[1:]
        return f"{error.filename}: {words}" if isinstance(error.filename, str) else words
    return str(error) or type(error).__name__


def error_of(status: int, message: str) -> LaminaError:
    """The error that an engine meant by `status` and `message`.

    The message tells missing images, containers and execs from other missing things, and bad
    references and filters from other bad parameters; a status without a class of its own becomes
    an `EngineError`.
    """
    if status == 404 and _NO_SUCH_IMAGE in message:
        return _missing_image(message)
    if status == 404 and message.startswith(_NO_SUCH_CONTAINER):
        return ContainerNotFound(message.removeprefix(_NO_SUCH_CONTAINER))
    if status == 404 and message.startswith(_NO_SUCH_EXEC):
        return ExecNotFound(message.removeprefix(_NO_SUCH_EXEC))
    if status == 400 and message.startswith(_BAD_REFERENCES):
        return InvalidReference(message)
    if status == 400 and message[:14].lower() == "invalid filter":
        return InvalidFilter(message)
    if (error := _CLASSES.get(status)) is not None:
        return error(message)
    return EngineError(message, status)


def _missing_image(message: str) -> LaminaError:
    # Engines before API 1.42 say it twice: `no such image: x: No such image: x:latest`.
    return ImageNotFound(message.rpartition(_NO_SUCH_IMAGE)[2])
