"""What a step is called in the history of its image, letter for letter as the classic builder does.

The text stands behind ``#(nop)`` in the command of the step's container configuration, by which the
cache finds it again. Go's ``%q`` and ``%v`` gave it its form.
"""

from collections.abc import Sequence

from lamina.dockerfile import instructions as ins
from lamina.dockerfile.gostrings import quote_all, quote_rune, show_duration
from lamina.oci.containerconfig import Healthcheck


def comment_of(instruction: ins.Instruction) -> str:
    """The comment of an instruction which changes only the configuration, already expanded."""
    match instruction:
        case ins.Env(pairs=pairs) | ins.Label(pairs=pairs):
            return _named(instruction, map(str, pairs))
        case ins.Maintainer(maintainer=text) | ins.User(user=text) | ins.StopSignal(signal=text):
            return _named(instruction, [text])
        case ins.Expose(ports=texts):
            # Variables may leave no port at all.
            return _named(instruction, [" ".join(texts)])
        case ins.Volume(paths=texts) | ins.Shell(shell=texts):
            return _named(instruction, [f"[{' '.join(texts)}]"])
        case ins.OnBuild(trigger=text):
            return _named(instruction, [text])
        case ins.Arg(arguments=arguments):
            return _named(instruction, map(_argument, arguments))
        case ins.Healthcheck(config=config):
            return _named(instruction, [_healthcheck(config)])
        case _:
            raise TypeError(f"{instruction.keyword} has no comment of its own")


def command_comment(instruction: ins.Cmd | ins.Entrypoint, words: Sequence[str]) -> str:
    """The comment of CMD and ENTRYPOINT; `words` is the command with its shell."""
    return _named(instruction, [quote_all(list(words))])


def empty_continuations(lines: Sequence[str]) -> str:
    """What dockerd says of a Dockerfile in which these instructions go on after an empty line."""
    found = "".join(f"[WARNING]: Empty continuation line found in:\n    {line}\n" for line in lines)
    return f"{found}[WARNING]: Empty continuation lines will become errors in a future release.\n"


def overridden(config: Healthcheck | None) -> str:
    """What a HEALTHCHECK says when the image has one already; empty where there is none."""
    if config is None or not config.test or config.test[0] == "NONE":
        return ""
    return f"Note: overriding previous HEALTHCHECK: [{' '.join(config.test)}]\n"


def _named(instruction: ins.Instruction, words: "Sequence[str] | map[str]") -> str:
    return " ".join((instruction.keyword, *words))


def _argument(argument: ins.Argument) -> str:
    return argument.name if argument.default is None else f"{argument.name}={argument.default}"


def _healthcheck(config: Healthcheck) -> str:
    times = [config.interval, config.timeout, config.start_period]
    if config.start_interval:
        times.append(config.start_interval)
    shown = " ".join(f'"{show_duration(time)}"' for time in times)
    return f"&{{{quote_all(config.test)} {shown} {quote_rune(config.retries)}}}"
