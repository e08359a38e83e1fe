"""Changes to a container's configuration, written as Dockerfile instructions.

``docker import --change`` and ``docker commit --change`` take them. They are the instructions of
a Dockerfile without a FROM, and only those that need no file and run nothing.
"""

import posixpath
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from lamina.dockerfile import instructions as ins
from lamina.dockerfile.parser import parse
from lamina.dockerfile.ports import parse_ports
from lamina.dockerfile.reading import parse_instruction
from lamina.dockerfile.shellwords import Expander, Expansions, environment
from lamina.dockerfile.signals import parse_signal
from lamina.dockerfile.source import DockerfileError
from lamina.errors import InvalidParameter
from lamina.oci.containerconfig import ContainerConfig, StringSet

DEFAULT_SHELL: Final = ("/bin/sh", "-c")

_ALLOWED: Final = frozenset(
    (
        *("cmd", "entrypoint", "healthcheck", "env", "expose", "label", "onbuild", "stopsignal"),
        *("user", "volume", "workdir"),
    )
)


def apply_changes(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """`config` with `changes` made to it, in order; each may hold several lines.

    Variables have the values of the configuration's Env, as it is at that point. Raises
    InvalidParameter in dockerd's words; then nothing has changed, since nothing ever is in place.
    """
    if not changes:
        return config
    document = parse("\n".join(changes))
    for node in document.nodes:
        if node.keyword not in _ALLOWED:
            raise InvalidParameter(f"{node.name} is not a valid change command")
    commands = [parse_instruction(node) for node in document.nodes]
    editor = ConfigEditor(config, Expander(escape=document.escape))
    for command in commands:
        editor.apply(command)
    return editor.config


class ConfigEditor:
    """Makes the changes of instructions to a configuration; `config` is the present one.

    For a stage of a build, `command_is_set` tells whether the stage itself has set a CMD: an
    ENTRYPOINT lets go of one that was inherited.
    """

    def __init__(
        self,
        config: ContainerConfig,
        expander: Expander,
        *,
        arguments: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.config = config
        self.command_is_set = False
        self._expander = expander
        self._arguments = arguments

    @property
    def shell(self) -> tuple[str, ...]:
        """The shell in force."""
        return self.config.shell or DEFAULT_SHELL

    @property
    def variables(self) -> dict[str, str]:
        """The values of variables now: build arguments, and the environment over them."""
        return self._arguments() | environment(self.config.env or ())

    def expansions(self) -> Expansions:
        """For the words of one instruction, with the values that variables have before it."""
        return Expansions(self._expander, self.variables)

    def apply(self, instruction: ins.Instruction) -> ins.Instruction:
        """Make one instruction's change; gives the instruction with its variables replaced.

        Raises DockerfileError; and TypeError for an instruction which is no change to a
        configuration alone (FROM, ARG, RUN, COPY, ADD).
        """
        expansions = self.expansions()
        try:
            if isinstance(instruction, ins.Expose):
                return self._expose(instruction, expansions)
            expanded = instruction.expanded(expansions.text)
            self.config = self._changed(expanded)
        except DockerfileError as error:
            raise error.on(instruction.lines) from None
        return expanded

    def _changed(self, instruction: ins.Instruction) -> ContainerConfig:
        config = self.config
        match instruction:
            case ins.Env(pairs=pairs):
                return replace(config, env=_with_variables(config.env or (), pairs))
            case ins.Label(pairs=pairs):
                labels = {pair.key: pair.value for pair in pairs}
                return replace(config, labels=(config.labels or {}) | labels)
            case ins.Cmd(command=command):
                self.command_is_set |= bool(command.words)
                return replace(config, cmd=command.with_shell(self.shell), args_escaped=False)
            case ins.Entrypoint(command=command):
                return self._with_entrypoint(command)
            case ins.Healthcheck(config=healthcheck):
                return replace(config, healthcheck=healthcheck)
            case ins.User(user=user):
                return replace(config, user=user)
            case ins.Workdir(path=path):
                return replace(config, working_dir=working_directory(config.working_dir, path))
            case _:
                return self._rarely_changed(instruction)

    def _rarely_changed(self, instruction: ins.Instruction) -> ContainerConfig:
        config = self.config
        match instruction:
            case ins.Volume(paths=paths):
                if not all(paths):
                    raise DockerfileError("VOLUME specified can not be an empty string")
                added: StringSet = {path: {} for path in paths}
                return replace(config, volumes=(config.volumes or {}) | added)
            case ins.OnBuild(trigger=trigger):
                return replace(config, on_build=(*(config.on_build or ()), trigger))
            case ins.StopSignal(signal=signal):
                parse_signal(signal)
                return replace(config, stop_signal=signal)
            case ins.Shell(shell=shell):
                return replace(config, shell=shell)
            case ins.Maintainer():
                return config
            case _:
                raise TypeError(f"{instruction.keyword} changes more than a configuration")

    def _with_entrypoint(self, command: ins.CommandLine) -> ContainerConfig:
        entrypoint = command.with_shell(self.shell) if command.words else ()
        cmd = self.config.cmd if self.command_is_set else None
        return replace(self.config, entrypoint=entrypoint, cmd=cmd, args_escaped=False)

    def _expose(self, instruction: ins.Expose, expansions: Expansions) -> ins.Expose:
        words: list[str] = []
        for port in instruction.ports:
            words += expansions.expand(port).words
        added: StringSet = {port: {} for port in parse_ports(words)}
        exposed = (self.config.exposed_ports or {}) | added
        self.config = replace(self.config, exposed_ports=exposed)
        return ins.Expose(instruction.node, tuple(words))


def _with_variables(env: tuple[str, ...], pairs: tuple[ins.KeyValue, ...]) -> tuple[str, ...]:
    """`env` with values set: in place where the name is there, at the end where not."""
    entries = list(env)
    places: dict[str, int] = {}
    for place, entry in enumerate(entries):
        # Of two with one name, the first is the one that is set.
        places.setdefault(entry.partition("=")[0], place)
    for pair in pairs:
        place = places.setdefault(pair.key, len(entries))
        entries[place : place + 1] = [str(pair)]
    return tuple(entries)


def working_directory(current: str, path: str) -> str:
    """What WORKDIR makes of `path`: an absolute one is taken as it is, a relative one is joined."""
    if not path:
        raise DockerfileError("cannot normalize nothing")
    if path.startswith("/"):
        return path
    # POSIX lets normpath keep two leading slashes, Go's filepath.Join does not.
    return "/" + posixpath.normpath(f"/{current}/{path}").lstrip("/")
