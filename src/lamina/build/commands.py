"""What a RUN runs, and what of it is recorded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from lamina.build.mounts import SCRIPTS, words_of
from lamina.dockerfile.buildargs import StageArguments
from lamina.dockerfile.heredoc import parse_heredoc
from lamina.dockerfile.instructions import CommandLine, Network, Run, Security
from lamina.dockerfile.mounts import Mount
from lamina.dockerfile.shellwords import environment
from lamina.errors import InvalidParameter
from lamina.oci.config import ContainerConfig


@dataclass(frozen=True, slots=True)
class ShellLine:
    """A command: `argv` is run, `words` are recorded.

    `script` is name and text of a heredoc that is a program of its own (it begins with ``#!``).
    """

    argv: tuple[str, ...]
    words: tuple[str, ...]
    script: tuple[str, str] | None = None


def shell_line(command: CommandLine, shell: tuple[str, ...]) -> ShellLine:
    """The command of a RUN, its heredocs included. Raises InvalidParameter."""
    if not command.files:
        words = command.with_shell(shell)
        return ShellLine(words, words)
    if len(command.words) != 1 or not command.is_shell:
        raise InvalidParameter(f"parsing produced an invalid run command: {list(command.words)}")
    [text] = command.words
    whole = text + "".join(f"\n{file.content}{file.name}" for file in command.files)
    if parse_heredoc(text) is None:
        # The shell sees its own heredocs.
        words = (*shell, whole)
        return ShellLine(words, words)
    first = command.files[0]
    if first.content.startswith("#!"):
        name = first.file_name
        argv = (f"{SCRIPTS}/{name}",)
        return ShellLine(argv, (*shell, whole), script=(name, first.text))
    # Nothing but a heredoc: its text is what the shell is to run, even one that knows no heredocs.
    words = (*shell, first.text)
    return ShellLine(words, words)


@dataclass(frozen=True, slots=True)
class RunArguments:
    """The build arguments that a RUN sees: `environment` all, `shown` those that are recorded."""

    environment: tuple[str, ...]
    shown: tuple[str, ...]

    @classmethod
    def of(cls, arguments: StageArguments, config: ContainerConfig) -> Self:
        """Those that the image's own environment does not hide."""
        hidden = environment(config.env or ())
        values = {name: text for name, text in arguments.values.items() if name not in hidden}
        shown = {name for name in arguments.recorded if name in values}
        return cls(
            tuple(sorted(f"{name}={text}" for name, text in values.items())),
            tuple(sorted(f"{name}={values[name]}" for name in shown)),
        )

    def recorded(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command as it is recorded: behind the arguments, if there are any at all."""
        if not self.environment:
            return tuple(words)
        return (f"|{len(self.shown)}", *self.shown, *words)


def flag_words(
    instruction: Run, mounts: Sequence[Mount], digests: Mapping[Mount, str]
) -> Iterator[str]:
    """What the flags of a RUN add to what is recorded; `digests` is as in `words_of`."""
    yield from words_of(mounts, digests)
    if instruction.network is not Network.DEFAULT:
        yield f"--network={instruction.network}"
    if instruction.security is not Security.SANDBOX:
        yield f"--security={instruction.security}"
