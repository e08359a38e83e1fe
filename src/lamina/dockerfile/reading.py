"""From nodes to instructions: what the arguments and flags of each mean, and which are wrong."""

import re
from collections.abc import Mapping
from typing import Final

from lamina.dockerfile.flags import FlagKind, Flags, parse_flags
from lamina.dockerfile.gostrings import SPACES, parse_duration, parse_int, quote
from lamina.dockerfile.heredoc import Heredoc, parse_heredoc
from lamina.dockerfile.instructions import (
    Add,
    Arg,
    Argument,
    Cmd,
    CommandLine,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    KeyValue,
    Label,
    Maintainer,
    Network,
    OnBuild,
    Run,
    Security,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lamina.dockerfile.mounts import check_mount
from lamina.dockerfile.parser import Node
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.suggestion import did_you_mean
from lamina.oci.containerconfig import Healthcheck as HealthConfig

INSTRUCTIONS: Final = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
"""The names of all instructions."""

_TRANSFER_FLAGS = {
    "chown": FlagKind.TEXT,
    "chmod": FlagKind.TEXT,
    "link": FlagKind.BOOLEAN,
    "exclude": FlagKind.TEXTS,
}
_ADD_FLAGS = _TRANSFER_FLAGS | {
    "keep-git-dir": FlagKind.BOOLEAN,
    "checksum": FlagKind.TEXT,
    "unpack": FlagKind.BOOLEAN,
}
_COPY_FLAGS = _TRANSFER_FLAGS | {"from": FlagKind.TEXT, "parents": FlagKind.BOOLEAN}
_RUN_FLAGS = {
    "mount": FlagKind.TEXTS,
    "network": FlagKind.TEXT,
    "security": FlagKind.TEXT,
    "device": FlagKind.TEXTS,
}
_HEALTH_FLAGS = dict.fromkeys(
    ("interval", "timeout", "start-period", "start-interval", "retries"), FlagKind.TEXT
)
_NO_FLAGS: Mapping[str, FlagKind] = {}
_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_MIN_INTERVAL = 1_000_000
"""Nanoseconds."""


def parse_instruction(node: Node) -> Instruction:
    """The instruction a node stands for.

    Raises DockerfileError with the node's lines, in BuildKit's words.
    """
    try:
        return _parse(node)
    except DockerfileError as error:
        raise error.on(node.lines) from None


def _parse(node: Node) -> Instruction:  # noqa: C901 (a table, one line an instruction)
    match node.keyword:
        case "add":
            return _add(node)
        case "arg":
            return _arg(node)
        case "cmd":
            return Cmd(node, _command_line(node))
        case "copy":
            return _copy(node)
        case "entrypoint":
            return Entrypoint(node, _command_line(node))
        case "env":
            return Env(node, _pairs(node))
        case "expose":
            return Expose(node, tuple(sorted(_several(node))))
        case "from":
            return _from(node)
        case "healthcheck":
            return Healthcheck(node, _healthcheck(node))
        case "label":
            return Label(node, _pairs(node))
        case "maintainer":
            return Maintainer(node, _single(node))
        case "onbuild":
            return OnBuild(node, _trigger(node))
        case "run":
            return _run(node)
        case "shell":
            return Shell(node, _shell(node))
        case "stopsignal":
            return StopSignal(node, _single(node))
        case "user":
            return User(node, _single(node))
        case "volume":
            return Volume(node, _volumes(node))
        case "workdir":
            return Workdir(node, _single(node))
        case _:
            hint = did_you_mean(node.name, INSTRUCTIONS)
            raise DockerfileError(f"unknown instruction: {node.name}{hint}")


def _several(node: Node) -> tuple[str, ...]:
    if not node.arguments:
        raise DockerfileError(f"{node.name.upper()} requires at least one argument")
    parse_flags(node.flags, _NO_FLAGS)
    return node.arguments


def _single(node: Node) -> str:
    if len(node.arguments) != 1:
        raise DockerfileError(f"{node.name.upper()} requires exactly one argument")
    # BuildKit forgets to look at the flags of STOPSIGNAL.
    if node.keyword != "stopsignal":
        parse_flags(node.flags, _NO_FLAGS)
    return node.arguments[0]


def _pairs(node: Node) -> tuple[KeyValue, ...]:
    parse_flags(node.flags, _NO_FLAGS)
    if not node.pairs:
        raise DockerfileError(f"{node.name.upper()} requires at least one argument")
    if any(not pair.key for pair in node.pairs):
        raise DockerfileError(f"{node.name.upper()} names can not be blank")
    return tuple(KeyValue(pair.key, pair.value) for pair in node.pairs)


def _arg(node: Node) -> Arg:
    if not node.arguments:
        raise DockerfileError("ARG requires at least one argument")
    arguments = []
    descriptions = _descriptions(node)
    for word in node.arguments:
        name, equals, default = word.partition("=")
        if equals and not name:
            raise DockerfileError("ARG names can not be blank")
        comment = descriptions.get(name, "")
        arguments.append(Argument(name, default if equals else None, comment))
    return Arg(node, tuple(arguments))


def _descriptions(node: Node) -> dict[str, str]:
    """What the comments above say of names: the first that begins with a name is about it."""
    found: dict[str, str] = {}
    for text in node.comments:
        name, space, description = text.partition(" ")
        if space:
            found.setdefault(name, description)
    return found


def _from(node: Node) -> From:
    arguments = node.arguments
    name = ""
    if len(arguments) == 3 and arguments[1].lower() == "as":
        name = arguments[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise DockerfileError(
                f"invalid name for build stage: {quote(arguments[2])}, "
                "name can't start with a number or contain symbols"
            )
    elif len(arguments) != 1:
        raise DockerfileError("FROM requires either one or three arguments")
    flags = parse_flags(node.flags, {"platform": FlagKind.TEXT})
    comment = _descriptions(node).get(name, "")
    return From(node, arguments[0], name, flags.text("platform"), comment)


def _words(node: Node, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command: a JSON array's, or all text as one."""
    if node.is_json or not arguments:
        return arguments
    return (" ".join(arguments),)


def _command_line(node: Node) -> CommandLine:
    parse_flags(node.flags, _NO_FLAGS)
    return CommandLine(_words(node, node.arguments), not node.is_json, node.heredocs)


def _run(node: Node) -> Run:
    flags = parse_flags(node.flags, _RUN_FLAGS)
    for text in flags.texts("mount"):
        check_mount(text)
    network = flags.text("network") or Network.DEFAULT
    if network not in list(Network):
        hint = did_you_mean(network, list(Network), case_sensitive=True)
        raise DockerfileError(f"unsupported network mode {quote(network)}{hint}")
    security = flags.text("security") or Security.SANDBOX
    if security not in list(Security):
        hint = did_you_mean(security, list(Security), case_sensitive=True)
        raise DockerfileError(f"unsupported security mode {quote(security)}{hint}")
    return Run(
        node,
        command=CommandLine(_words(node, node.arguments), not node.is_json, node.heredocs),
        mount_flags=flags.texts("mount"),
        network=Network(network),
        security=Security(security),
        devices=flags.texts("device"),
        flags_used=tuple(flags.values),
    )


def _transfer(
    node: Node, known: Mapping[str, FlagKind]
) -> tuple[Flags, tuple[str, ...], tuple[Heredoc, ...], str]:
    """(flags, source paths, sources that are heredocs, destination)."""
    name = node.name.upper()
    if len(node.arguments) < 2:
        raise DockerfileError(
            f"{name} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    flags = parse_flags(node.flags, known)
    *before, destination = node.arguments
    if _heredoc(destination) is not None:
        raise DockerfileError(f"{name} cannot accept a heredoc as a destination")
    read = {heredoc.name: heredoc for heredoc in node.heredocs}
    paths: list[str] = []
    files: list[Heredoc] = []
    for source in before:
        announced = _heredoc(source)
        if announced is None:
            paths.append(source)
        else:
            files.append(read.get(announced.name, announced))
    return flags, tuple(paths), tuple(files), destination


def _heredoc(word: str) -> Heredoc | None:
    try:
        return parse_heredoc(word)
    except DockerfileError:
        return None


def _copy(node: Node) -> Copy:
    flags, sources, files, destination = _transfer(node, _COPY_FLAGS)
    return Copy(
        node,
        sources=sources,
        destination=destination,
        files=files,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link"),
        exclude=flags.texts("exclude"),
        source_from=flags.text("from"),
        parents=flags.boolean("parents"),
    )


def _add(node: Node) -> Add:
    flags, sources, files, destination = _transfer(node, _ADD_FLAGS)
    return Add(
        node,
        sources=sources,
        destination=destination,
        files=files,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link"),
        exclude=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.optional_boolean("keep-git-dir"),
        unpack=flags.optional_boolean("unpack"),
    )


def _volumes(node: Node) -> tuple[str, ...]:
    paths = tuple(path.strip(SPACES) for path in _several(node))
    if not all(paths):
        raise DockerfileError("VOLUME specified can not be an empty string")
    return paths


def _shell(node: Node) -> tuple[str, ...]:
    parse_flags(node.flags, _NO_FLAGS)
    if not node.arguments:
        raise DockerfileError("SHELL requires at least one argument")
    if not node.is_json:
        raise DockerfileError("SHELL requires the arguments to be in JSON form")
    return node.arguments


def _healthcheck(node: Node) -> HealthConfig:
    if not node.arguments:
        raise DockerfileError("HEALTHCHECK requires at least one argument")
    kind, *rest = node.arguments
    kind = kind.upper()
    if kind == "NONE":
        if rest:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return HealthConfig(test=("NONE",))
    flags = parse_flags(node.flags, _HEALTH_FLAGS)
    if kind != "CMD":
        raise DockerfileError(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    command = _words(node, tuple(rest))
    if not command:
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    return HealthConfig(
        test=("CMD" if node.is_json else "CMD-SHELL", *command),
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    duration = parse_duration(text) if text else 0
    if duration and duration < _MIN_INTERVAL:
        raise DockerfileError(f"Interval {quote(name)} cannot be less than 1ms")
    return duration


def _retries(text: str) -> int:
    retries = parse_int(text, bits=32) if text else 0
    if retries < 0:
        raise DockerfileError(f"--retries cannot be negative ({retries})")
    return retries


def _trigger(node: Node) -> str:
    if node.trigger is None:
        raise DockerfileError("ONBUILD requires at least one argument")
    parse_flags(node.flags, _NO_FLAGS)
    name = node.trigger.name.upper()
    if name == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{name} isn't allowed as an ONBUILD trigger")
    text = re.sub(r"(?i)^\s*ONBUILD\s*", "", node.text)
    for heredoc in node.heredocs:
        text += f"\n{heredoc.content}{heredoc.name}"
    return text
