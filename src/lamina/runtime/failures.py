"""What dockerd says where an OCI runtime cannot do what it is asked for."""

import re
from typing import Final

from lamina.errors import NotExecutable, StartFailed

__all__ = ["check_names", "last_line", "start_failure"]

_ONTO_ANOTHER: Final = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host"
    " path exists and is the expected type"
)
_LOGGED: Final = re.compile(r'time="[^"]*" level=\w+ msg="((?:[^"\\]|\\.)*)"')
_LONGEST_PATH: Final = 4095
"""Bytes, of Linux (PATH_MAX, which counts the NUL)."""


def check_names(*paths: str, exec: bool = False) -> None:
    """StartFailed if one is longer than any path can be.

    The OCI runtime would say so too, on the standard error of what it starts, which holds less than
    such names and is not read before something has started.
    """
    for path in paths:
        if len(path.encode("utf-8", "surrogatepass")) > _LONGEST_PATH:
            raise start_failure(
                f'unable to start container process: "{path[:255]}…": file name too long', exec=exec
            )


def start_failure(why: str, *, exec: bool = False) -> StartFailed:
    """What dockerd says, and which status it gives, when a runtime could not start a process."""
    if exec:
        message = f"OCI runtime exec failed: {why}: unknown"
    else:
        why = why.replace("runc run failed", "runc create failed")
        message = (
            "failed to create task for container: failed to create shim task:"
            f" OCI runtime create failed: {why}: unknown"
        )
    if "not a directory" in why:
        return NotExecutable(f"{message}{_ONTO_ANOTHER}", 127)
    if "permission denied" in why or "is a directory" in why:
        return NotExecutable(message, 126)
    if "executable file not found" in why or "no such file or directory" in why:
        return NotExecutable(message, 127)
    return StartFailed(message, 128)


def last_line(errors: str) -> str:
    """The last line of what a runtime has written to its standard error."""
    lines = errors.strip().splitlines()
    if not lines:
        return "the OCI runtime failed without a word"
    # runc's are of a log, in Go's quotes.
    match = _LOGGED.fullmatch(lines[-1])
    return lines[-1] if match is None else re.sub(r'\\(["\\])', r"\1", match[1])
