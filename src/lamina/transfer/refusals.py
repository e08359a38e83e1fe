"""What a registry's refusals mean, in the words that a dockerd has for them."""

from typing import Final

from lamina.errors import InvalidParameter, LaminaError, NotFound, UnsupportedMediaType
from lamina.oci.reference import Reference
from lamina.registry.failure import RegistryError

_FINAL: Final = frozenset(
    {"UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "NAME_UNKNOWN"}
)
"""Codes that leave nothing more to say about a push."""


def refused_pull(error: LaminaError, reference: Reference) -> LaminaError:
    """The error to tell a user who pulls `reference`."""
    if isinstance(error, UnsupportedMediaType):
        return InvalidParameter(str(error))
    if not isinstance(error, RegistryError):
        return error
    cause = str(error.problems[0]) if error.problems else str(error)
    match error.code:
        case "DENIED":
            return NotFound(
                f"pull access denied for {reference.familiar_name}, repository does not exist or"
                f" may require 'docker login': {cause}"
            )
        case "MANIFEST_UNKNOWN":
            return NotFound(f"manifest for {reference.familiar} not found: {cause}")
        case "NAME_UNKNOWN":
            return NotFound(f"repository {reference.familiar_name} not found: {cause}")
        case "UNAUTHORIZED":
            # No 401, which would make docker's client ask for a password: so does a dockerd.
            return LaminaError(cause)
        case _:
            return error


def refused_push(error: RegistryError) -> RegistryError:
    """The error to tell a user who pushes: of several only the first, where that says it all."""
    if error.code not in _FINAL:
        return error
    return RegistryError(str(error.problems[0]), status=error.status, problems=error.problems[:1])
