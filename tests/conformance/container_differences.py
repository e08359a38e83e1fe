"""Where newer daemons, and so Lamina, answer otherwise than dockerd 20.10 about containers.

As in `differences`, everything that no rule names must be equal.
"""

import json
import re
from dataclasses import replace

from tests.conformance.differences import modern as modern_image
from tests.conformance.wire import Ask, Heard

_REASONS = {400: "Bad Request", 404: "Not Found"}

_OF_THE_CALLER = re.compile(
    r"strconv\.|extraction point is not a directory|cannot overwrite|invalid mount|archive/tar:"
    r"|invalid --security-opt|Cannot mkdir|invalid volume specification|invalid mode"
)
"""Mistakes of the caller's that 20.10 forgets to mark as such, so that they count as its own."""

_CREATED = "failed to create shim task: "


def modern(ask: Ask, heard: Heard) -> Heard:
    """What a daemon of today answers where dockerd 20.10 answered `heard`."""
    if heard.header("Content-Type") != "application/json" or not heard.body:
        return heard
    if heard.status < 400:
        return _told_otherwise(ask, heard)
    heard = modern_image(ask, heard)
    status, message = heard.status, heard.message
    if message.startswith("no such container "):
        # Of the containers that a filter names.
        status, message = 404, "No such container: " + message.removeprefix("no such container ")
    if message.startswith(_CREATED):
        message = f"failed to create task for container: {message}"
    if "cannot overwrite" in message:
        # It unpacks in a process of its own, and says so.
        message = message.removeprefix("Error processing tar file(exit status 1): ")
    if "filters" in ask.target and message.startswith("strconv.Atoi"):
        status, message = 400, f"invalid filter 'exited={message.split(chr(34))[1]}'"
    if "since=" in ask.target and message.startswith("strconv.ParseInt"):
        status, message = 400, 'failed to parse value as time or duration: "x"'
    if message.startswith("json: cannot unmarshal array"):
        status, message = 400, "invalid JSON: Expected `object`, got `array`"
    if message.startswith("Invalid signal"):
        message = "i" + message[1:]
    if _OF_THE_CALLER.search(message):
        status = 400
    body = json.dumps({"message": message}, ensure_ascii=False, separators=(",", ":")) + "\n"
    reason = heard.reason if status == heard.status else _REASONS[status]
    return replace(heard, status=status, reason=reason, body=body.encode())


def _told_otherwise(ask: Ask, heard: Heard) -> Heard:
    value = heard.json()
    if ask.target.split("?")[0].endswith("/wait") and value.get("Error", "") is None:
        # Left out since 23.0 where there is none.
        del value["Error"]
        return replace(heard, body=json.dumps(value).encode() + b"\n")
    if re.fullmatch(r"/containers/[^/]+/json", ask.target):
        error = value["State"]["Error"]
        if error.startswith(_CREATED):
            value["State"]["Error"] = f"failed to create task for container: {error}"
        return replace(heard, body=json.dumps(value).encode() + b"\n")
    return heard
