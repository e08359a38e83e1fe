"""Where newer daemons, and so Lamina, answer otherwise than dockerd 20.10, and why.

Each rule turns 20.10's answer to one kind of request into today's. Everything that no rule names
must be equal.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from tests.conformance.wire import Ask, Heard

Error = tuple[int, str]
Rule = Callable[[Ask, int, str], Error]


def _inspect_says_it_once(ask: Ask, status: int, message: str) -> Error:
    # 20.10's inspect alone wraps the error of the lookup; from 23.0 on all say the same.
    match = re.fullmatch(r"(?:.*?)/images/(.*)/json", ask.target)
    prefix = f"no such image: {unquote(match[1])}: " if match else "-"
    return status, message.removeprefix(prefix)


_BAD_REFERENCE = re.compile(
    r"invalid (reference format|tag format|repository name)|repository name must"
)


def _bad_references_are_the_callers(_: Ask, status: int, message: str) -> Error:
    # 20.10's tag and save forget to mark the error, which then counts as the daemon's: 500.
    return (400 if _BAD_REFERENCE.match(message) else status), message


def _filters_in_lower_case(ask: Ask, status: int, message: str) -> Error:
    # 23.0 words it "invalid filter 'x'", and calls JSON that is no filters the same: 400, not 500.
    if message.startswith("Invalid filter"):
        return 400, "i" + message[1:]
    if "filters=" in ask.target and re.search(r"JSON|invalid character|cannot unmarsh", message):
        return 400, "invalid filter"
    return status, message


def _until_of_prune(_: Ask, status: int, message: str) -> Error:
    # 23.0 marks both as the caller's and says which filter it was.
    if message.startswith("failed to parse value as time or duration"):
        return 400, f"invalid value for 'until' filter: {message}"
    if message == "more than one until filter specified":
        return 400, message
    return status, message


def _times_of_events(ask: Ask, status: int, message: str) -> Error:
    # Here 20.10 tells of its parser, and 500; a time that is none is the caller's mistake.
    bad = re.fullmatch(r"/events\?(?:since|until)=([^&]*)(&.*)?", ask.target)
    if bad and message.startswith("strconv.ParseInt"):
        return 400, f'failed to parse value as time or duration: "{bad[1]}"'
    return status, message


def _changes_as_written(ask: Ask, status: int, message: str) -> Error:
    # Since 27.0 the parser keeps an instruction as it was written.
    if message.endswith(" is not a valid change command"):
        word, _, rest = message.partition(" ")
        if word.upper() in ask.target:
            return status, f"{word.upper()} {rest}"
    return status, message


def _bad_patterns_are_the_callers(_: Ask, status: int, message: str) -> Error:
    # Nobody marks this error, so that it counts as the daemon's; it is the caller's.
    return (400 if message == "syntax error in pattern" else status), message


_RULES: tuple[Rule, ...] = (
    _inspect_says_it_once,
    _bad_references_are_the_callers,
    _filters_in_lower_case,
    _until_of_prune,
    _times_of_events,
    _changes_as_written,
    _bad_patterns_are_the_callers,
)

_REASONS = {400: "Bad Request"}


def modern(ask: Ask, heard: Heard) -> Heard:
    """What a daemon of today answers where dockerd 20.10 answered `heard`."""
    if heard.status < 400 or heard.header("Content-Type") != "application/json" or not heard.body:
        return heard
    status, message = heard.status, heard.message
    for rule in _RULES:
        status, message = rule(ask, status, message)
    if (status, message) == (heard.status, heard.message):
        return heard
    body = json.dumps({"message": message}, ensure_ascii=False, separators=(",", ":")) + "\n"
    reason = heard.reason if status == heard.status else _REASONS[status]
    return replace(heard, status=status, reason=reason, body=body.encode())


_INSPECTED = re.compile(r"no such image: [^ ]+: (?=No such image|invalid reference)")
_UNTIL = re.compile(r"(daemon: )(failed to parse value as time)")
_CHANGE = re.compile(r"\b([a-z]+)( is not a valid change command)")


def modern_words(stderr: str) -> str:
    """The same for what a client prints of an error."""
    words = stderr.replace("Invalid filter", "invalid filter")
    words = _INSPECTED.sub("", words)
    words = _UNTIL.sub(r"\1invalid value for 'until' filter: \2", words)
    return _CHANGE.sub(lambda found: f"{found[1].upper()}{found[2]}", words)
