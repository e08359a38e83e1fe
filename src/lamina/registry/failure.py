"""What a registry says when it refuses, as exceptions with the words a dockerd would use.

The text is ``<code in lower case, blanks for underscores>: <message>`` of the first error document
(OCI distribution specification, "Error Codes"); where the body is no such document, the HTTP status
speaks. The tree, under `lamina.errors`::

    RegistryError                   carries status, code, problems, retry_after
    ├── RegistryUnauthorized        also Unauthorized
    ├── RegistryDenied              also Forbidden
    ├── RegistryNotFound            also NotFound
    └── TooManyRequests             rate limits
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from lamina.errors import Forbidden, LaminaError, NotFound, Unauthorized
from lamina.registry.challenge import Challenge

# The codes of distribution's `errcode` and `v2` packages, with the text used where none was sent.
_MESSAGES = {
    "UNKNOWN": "unknown error",
    "UNSUPPORTED": "The operation is unsupported.",
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "UNAVAILABLE": "service unavailable",
    "TOOMANYREQUESTS": "too many requests",
    "DIGEST_INVALID": "provided digest did not match uploaded content",
    "SIZE_INVALID": "provided length did not match content length",
    "RANGE_INVALID": "invalid content range",
    "NAME_INVALID": "invalid repository name",
    "TAG_INVALID": "manifest tag did not match URI",
    "NAME_UNKNOWN": "repository name not known to registry",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "MANIFEST_INVALID": "manifest invalid",
    "MANIFEST_UNVERIFIED": "manifest failed signature verification",
    "MANIFEST_BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UPLOAD_UNKNOWN": "blob upload unknown to registry",
    "BLOB_UPLOAD_INVALID": "blob upload invalid",
}
_NOT_FOUND = frozenset(code for code in _MESSAGES if code.endswith("UNKNOWN")) - {"UNKNOWN"}
# RFC 6750 §3.1, as distribution translates them.
_BEARER_ERRORS = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}
# Statuses that say enough, whatever their body is.
_SPEAKING = {401: "UNAUTHORIZED", 429: "TOOMANYREQUESTS"}
_SHOWN_BODY = 512


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of a registry's error document; `code` in upper case."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code.lower().replace('_', ' ')}: {self.message}"


class RegistryError(LaminaError):
    """A registry, or its token server, refused a request.

    `status` is the HTTP status, `code` the first error code (empty if none was given),
    `retry_after` the seconds the server asked to wait, None if it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        problems: Sequence[Problem] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems)
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """The first problem's code."""
        return self.problems[0].code if self.problems else ""


class RegistryUnauthorized(RegistryError, Unauthorized):
    """Credentials are missing, wrong or outdated."""


class RegistryDenied(RegistryError, Forbidden):
    """The credentials do not allow this; many registries say it of names that do not exist, too."""


class RegistryNotFound(RegistryError, NotFound):
    """The registry has no such repository, manifest, blob or upload."""


class TooManyRequests(RegistryError):
    """A rate limit was reached."""


class _Entry(msgspec.Struct):
    code: str | None = ""
    message: str | None = ""


class _Document(msgspec.Struct):
    errors: list[_Entry] | None = None
    details: str = ""


_DOCUMENT = msgspec.json.Decoder(_Document)


def explain(
    status: int,
    body: bytes,
    *,
    challenges: Sequence[Challenge] = (),
    retry_after: float | None = None,
) -> RegistryError:
    """The exception for an answer with a status of 300 and more; `body` as far as it was read."""
    problems: tuple[Problem, ...] = ()
    message = f"received unexpected HTTP status: {status_line(status)}"
    if 400 <= status < 500:
        problems = _problems_of_challenges(challenges)
        problems, message = _problems_of_body(status, body, problems)
        if not problems and status in _SPEAKING:
            problems = (_problem(_SPEAKING[status]),)
    if len(problems) == 1:
        message = str(problems[0])
    elif problems:
        message = "".join(["errors:\n", *(f"{problem}\n" for problem in problems)])
    code = problems[0].code if problems else ""
    return _class_of(status, code)(
        message, status=status, problems=problems, retry_after=retry_after
    )


def status_line(status: int) -> str:
    """A status as Go shows it: ``404 Not Found``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} "


def _class_of(status: int, code: str) -> type[RegistryError]:
    if code == "UNAUTHORIZED":
        return RegistryUnauthorized
    if code == "DENIED":
        return RegistryDenied
    if code in _NOT_FOUND:
        return RegistryNotFound
    if code == "TOOMANYREQUESTS":
        return TooManyRequests
    by_status: dict[int, type[RegistryError]] = {
        401: RegistryUnauthorized,
        403: RegistryDenied,
        404: RegistryNotFound,
        429: TooManyRequests,
    }
    return by_status.get(status, RegistryError)


def _problem(code: str, message: str = "") -> Problem:
    code = code.upper()
    # Codes outside the specification are shown as `unknown`, as Go's decoder reads them.
    known = code if code in _MESSAGES else "UNKNOWN"
    return Problem(known, message or _MESSAGES[known])


def _problems_of_challenges(challenges: Sequence[Challenge]) -> tuple[Problem, ...]:
    for challenge in challenges:
        code = _BEARER_ERRORS.get(challenge.get("error")) if challenge.scheme == "bearer" else None
        if code is not None:
            return (_problem(code, challenge.get("error_description")),)
    return ()


def _problems_of_body(
    status: int, body: bytes, known: tuple[Problem, ...]
) -> tuple[tuple[Problem, ...], str]:
    try:
        document = _DOCUMENT.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return known, _unparsable(status, body, _complaint(body))
    if document.details:
        code = _SPEAKING.get(status, "UNKNOWN")
        return (*known, _problem(code, document.details)), ""
    listed = [_problem(entry.code or "", entry.message or "") for entry in document.errors or ()]
    return (*known, *listed), _unparsable(
        status, body, "no error details found in HTTP response body"
    )


def _complaint(body: bytes) -> str:
    text = body.lstrip()
    if not text:
        return "unexpected end of JSON input"
    first = chr(text[0])
    if first in '{["-0123456789tfn':
        return "invalid JSON"
    return f"invalid character '{first}' looking for beginning of value"


def _unparsable(status: int, body: bytes, reason: str) -> str:
    shown = body[:_SHOWN_BODY].decode(errors="replace")
    return f"error parsing HTTP {status} response body: {reason}: {json.dumps(shown)}"
