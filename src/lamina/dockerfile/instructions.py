"""Instructions as typed values: what a Dockerfile says, before any variable has a value.

Each carries the `Node` it was read from, and with it its source, lines and comments. `expanded`
gives the same instruction with its variables replaced, for those instructions and those of their
fields in which Docker replaces any; `reading.parse_instruction` makes them.
"""

import enum
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from lamina.dockerfile.heredoc import Heredoc
from lamina.dockerfile.mounts import Expand, Mount, parse_mount
from lamina.dockerfile.parser import Node
from lamina.dockerfile.source import Lines
from lamina.oci.containerconfig import Healthcheck as HealthConfig


@dataclass(frozen=True, slots=True)
class Instruction:
    """The root of all instructions."""

    keyword: ClassVar[str] = ""
    """The name in upper case."""

    node: Node

    @property
    def code(self) -> str:
        """The instruction as written, on one line."""
        return self.node.text.strip()

    @property
    def lines(self) -> Lines:
        """Where it stands."""
        return self.node.lines

    def expanded(self, expand: Expand) -> Self:
        """The instruction with its variables replaced; itself where none may be."""
        del expand
        return self


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with its value, as in ``ENV A=b``."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"

    def expanded(self, expand: Expand) -> "KeyValue":
        """Both sides expanded."""
        return KeyValue(expand(self.key), expand(self.value))


@dataclass(frozen=True, slots=True)
class Argument:
    """A build argument: `default` is None where ARG gives none."""

    name: str
    default: str | None = None
    comment: str = ""

    def expanded(self, expand: Expand) -> "Argument":
        """Name and default expanded."""
        default = None if self.default is None else expand(self.default)
        return Argument(expand(self.name), default, self.comment)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What is to be run: `words` of an exec form, or a shell's text as the only word.

    `files` are heredocs in the text; they are the shell's standard input, or the script itself.
    """

    words: tuple[str, ...]
    is_shell: bool
    files: tuple[Heredoc, ...] = ()

    def with_shell(self, shell: tuple[str, ...]) -> tuple[str, ...]:
        """The full command: behind the `shell` if it is one's text."""
        return (*shell, *self.words) if self.is_shell else self.words


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """``FROM [--platform=…] base [AS name]``: begins a stage; `name` is in lower case."""

    keyword = "FROM"
    base: str
    name: str = ""
    platform: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """``ARG name[=default] …``."""

    keyword = "ARG"
    arguments: tuple[Argument, ...]

    def expanded(self, expand: Expand) -> Self:
        """Names and defaults expanded."""
        return replace(self, arguments=tuple(item.expanded(expand) for item in self.arguments))


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """``ENV key=value …``."""

    keyword = "ENV"
    pairs: tuple[KeyValue, ...]

    def expanded(self, expand: Expand) -> Self:
        """Keys and values expanded, all with the values from before."""
        return replace(self, pairs=tuple(pair.expanded(expand) for pair in self.pairs))


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """``LABEL key=value …``."""

    keyword = "LABEL"
    pairs: tuple[KeyValue, ...]

    def expanded(self, expand: Expand) -> Self:
        """Keys and values expanded."""
        return replace(self, pairs=tuple(pair.expanded(expand) for pair in self.pairs))


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    """``MAINTAINER name``, long deprecated."""

    keyword = "MAINTAINER"
    maintainer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD have in common. `files` are sources written as heredocs.

    `chown`, `chmod` and the rest are as written; empty if not given.
    """

    sources: tuple[str, ...]
    destination: str
    files: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()

    def expanded(self, expand: Expand) -> Self:
        """Paths, owner, mode, patterns and unquoted heredocs expanded."""
        return replace(
            self,
            sources=tuple(expand(source) for source in self.sources),
            destination=expand(self.destination),
            chown=expand(self.chown),
            chmod=expand(self.chmod),
            exclude=tuple(expand(pattern) for pattern in self.exclude),
        )

    def with_files_expanded(self, expand: Expand) -> Self:
        """The contents of unquoted heredocs expanded; in them, for `expand`, quotes are text."""
        files = tuple(
            replace(file, content=expand(file.text), chomp=False) if file.expand else file
            for file in self.files
        )
        return replace(self, files=files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Transfer):
    """``COPY``; `source_from` (``--from``) is a stage, an image or a context."""

    keyword = "COPY"
    source_from: str = ""
    parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Transfer):
    """``ADD``; `unpack` and `keep_git_dir` are None where the source decides."""

    keyword = "ADD"
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None

    def expanded(self, expand: Expand) -> Self:
        """The checksum expanded too."""
        transfer = Transfer.expanded(self, expand)
        return replace(transfer, checksum=expand(self.checksum))


class Network(enum.StrEnum):
    """The network of a RUN."""

    DEFAULT = "default"
    NONE = "none"
    HOST = "host"


class Security(enum.StrEnum):
    """The confinement of a RUN."""

    SANDBOX = "sandbox"
    INSECURE = "insecure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """``RUN``. `mount_flags` are as written; `mounts` reads them when variables have values.

    `flags_used` are the names of all flags, for builders which know none of them.
    """

    keyword = "RUN"
    command: CommandLine
    mount_flags: tuple[str, ...] = ()
    network: Network = Network.DEFAULT
    security: Security = Security.SANDBOX
    devices: tuple[str, ...] = ()
    flags_used: tuple[str, ...] = ()

    def mounts(self, expand: Expand) -> tuple[Mount, ...]:
        """The mounts with their variables replaced; raises DockerfileError."""
        return tuple(parse_mount(text, expand) for text in self.mount_flags)


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """``CMD``."""

    keyword = "CMD"
    command: CommandLine


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """``ENTRYPOINT``."""

    keyword = "ENTRYPOINT"
    command: CommandLine


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """``EXPOSE port[/protocol] …``: sorted; expansion may make several words of one."""

    keyword = "EXPOSE"
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """``VOLUME path …``."""

    keyword = "VOLUME"
    paths: tuple[str, ...]

    def expanded(self, expand: Expand) -> Self:
        """Paths expanded."""
        return replace(self, paths=tuple(expand(path) for path in self.paths))


@dataclass(frozen=True, slots=True)
class User(Instruction):
    """``USER name[:group]``."""

    keyword = "USER"
    user: str

    def expanded(self, expand: Expand) -> Self:
        """The user expanded."""
        return replace(self, user=expand(self.user))


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    """``WORKDIR path``."""

    keyword = "WORKDIR"
    path: str

    def expanded(self, expand: Expand) -> Self:
        """The path expanded."""
        return replace(self, path=expand(self.path))


@dataclass(frozen=True, slots=True)
class StopSignal(Instruction):
    """``STOPSIGNAL signal``, as written."""

    keyword = "STOPSIGNAL"
    signal: str

    def expanded(self, expand: Expand) -> Self:
        """The signal expanded."""
        return replace(self, signal=expand(self.signal))


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """``HEALTHCHECK``, already in the form the image's configuration has."""

    keyword = "HEALTHCHECK"
    config: HealthConfig


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    """``SHELL ["…"]``."""

    keyword = "SHELL"
    shell: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnBuild(Instruction):
    """``ONBUILD instruction``: `trigger` is the instruction as the image will record it."""

    keyword = "ONBUILD"
    trigger: str
