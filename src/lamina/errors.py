"""Everything Lamina raises on purpose, in one tree.

``str(error)`` is the message a dockerd gives for the same mistake, so that clients which match on
it keep working. Errors carry their data as attributes and know nothing of HTTP: only
``lamina.api.errors`` turns a class into a status::

    LaminaError
    ├── InvalidParameter            the caller's mistake
    │   ├── InvalidReference
    │   ├── InvalidDigest
    │   ├── InvalidPlatform
    │   ├── InvalidFilter
    │   └── NotExecutable           a StartFailed too
    ├── Unauthorized                who are you?
    ├── Forbidden                   you may not
    ├── NotFound
    │   ├── ImageNotFound
    │   ├── ContainerNotFound
    │   ├── ExecNotFound
    │   └── BlobNotFound
    ├── Conflict                    not while something else stands in the way
    ├── NotImplementedHere
    ├── Unavailable                 not now, or not on this machine
    ├── CommandFailed               a command of a build that ended badly
    ├── StartFailed                 a process that could not be started
    │   └── NotExecutable           for its program is not there, or may not be run
    ├── CorruptData                 bytes that are not what they should be
    │   ├── InvalidManifest         a manifest, index or image configuration
    │   ├── UnsupportedMediaType
    │   ├── InvalidArchive
    │   ├── InvalidLayer
    │   ├── DigestMismatch
    │   └── SizeMismatch
    └── EngineError                 what a remote engine reported and nothing above says better
"""

from typing import Any, Protocol

__all__ = [
    "BlobNotFound",
    "CommandFailed",
    "Conflict",
    "ContainerNotFound",
    "CorruptData",
    "DigestMismatch",
    "DigestValue",
    "EngineError",
    "ExecNotFound",
    "Forbidden",
    "ImageNotFound",
    "InvalidArchive",
    "InvalidDigest",
    "InvalidFilter",
    "InvalidLayer",
    "InvalidManifest",
    "InvalidParameter",
    "InvalidPlatform",
    "InvalidReference",
    "LaminaError",
    "NotExecutable",
    "NotFound",
    "NotImplementedHere",
    "SizeMismatch",
    "StartFailed",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
]


class DigestValue(Protocol):
    """What an error knows of a digest, which is always a `lamina.oci.digest.Digest`."""

    @property
    def algorithm(self) -> str:
        """The hash function's name."""
        ...

    @property
    def hex(self) -> str:
        """The hash in lower-case hexadecimal digits."""
        ...


class LaminaError(Exception):
    """The root of the tree; `message` is what `str` gives."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """The text for the user, as a dockerd words it."""
        return str(self)

    # `Exception` would pickle and copy by calling the class with the message as its only argument.
    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).__new__, (type(self), *self.args), self.__dict__)


class InvalidParameter(LaminaError):
    """A request that can never succeed as it was made."""


class InvalidReference(InvalidParameter):
    """Text that is no image reference, or a reference that may not stand where it was given.

    `text` is what was given, empty where there is no more to tell than the message does.
    """

    def __init__(self, message: str = "invalid reference format", *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class InvalidDigest(InvalidParameter):
    """Text that is no digest; `text` is what was given."""

    def __init__(self, message: str = "invalid checksum digest format", *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class InvalidPlatform(InvalidParameter):
    """Text that names no platform; `text` is what was given."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class InvalidFilter(InvalidParameter):
    """A filter that does not exist, or a value it cannot have; `name` is the filter's, if known."""

    def __init__(self, message: str = "invalid filter", *, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class Unauthorized(LaminaError):
    """Credentials are missing or wrong."""


class Forbidden(LaminaError):
    """The credentials are good and do not allow this."""


class NotFound(LaminaError):
    """Something that was named does not exist."""


class ImageNotFound(NotFound):
    """No image has the `name`: a familiar reference with its tag, as a dockerd shows it.

    With a `message` there is one, which is not what is asked for.
    """

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(message or f"No such image: {name}")
        self.name = name


class ContainerNotFound(NotFound):
    """No container has the `name`, which may also be an ID or the beginning of one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such container: {name}")
        self.name = name


class ExecNotFound(NotFound):
    """No command that was made to run in a container has this `id`."""

    def __init__(self, id: str) -> None:
        super().__init__(f"No such exec instance: {id}")
        self.id = id


class BlobNotFound(NotFound):
    """The content store does not hold `digest`."""

    def __init__(self, digest: DigestValue) -> None:
        super().__init__(f"blob {digest} not found")
        self.digest = digest


class Conflict(LaminaError):
    """Possible in itself, but not in the present state: in use, already running, already there."""


class NotImplementedHere(LaminaError):
    """Part of the API, and not of this engine."""


class Unavailable(LaminaError):
    """Not at this time or on this machine; trying again later, or after a repair, may succeed."""


class CommandFailed(LaminaError):
    """A command that a build ran and that ended with exit status `code`, never 0."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class StartFailed(LaminaError):
    """A process that could not be started; its container gets `exit_code`, or its exec."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotExecutable(StartFailed, InvalidParameter):
    """What should be started is not there (exit status 127), or may not be run (126)."""


class CorruptData(LaminaError):
    """Bytes, received or stored, that are not what they claim to be."""


class InvalidManifest(CorruptData):
    """A manifest, index or image configuration that breaks its format."""


class UnsupportedMediaType(CorruptData):
    """A document of a kind this engine does not take; `media_type` is empty if unknown."""

    def __init__(self, message: str, *, media_type: str = "") -> None:
        super().__init__(message)
        self.media_type = media_type


class InvalidArchive(CorruptData):
    """An image archive (``docker save``, OCI layout) that cannot be loaded."""


class InvalidLayer(CorruptData):
    """A layer whose compression or tar stream is broken, or whose entries reach outside of it."""


class DigestMismatch(CorruptData):
    """Content whose digest is `actual` where `expected` was promised."""

    def __init__(self, expected: DigestValue, actual: DigestValue) -> None:
        super().__init__(f"digest mismatch: expected {expected}, got {actual}")
        self.expected = expected
        self.actual = actual


class SizeMismatch(CorruptData):
    """Content of `actual` bytes where `expected` were promised; reading may have stopped there."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"size mismatch: expected {expected} bytes, got {actual}")
        self.expected = expected
        self.actual = actual


class EngineError(LaminaError):
    """What a remote engine reported; `status` is its HTTP status, None if it came in a stream."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
