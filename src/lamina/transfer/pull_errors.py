"""What a registry's refusal of a pull means, in the words that a dockerd has for it."""

from lamina.errors import InvalidParameter, LaminaError, NotFound, UnsupportedMediaType
from lamina.oci.reference import Reference
from lamina.registry.failure import RegistryError


def explained(error: LaminaError, reference: Reference) -> LaminaError:
    """The error to tell a user who asked for `reference`."""
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
        case _:
            return error
