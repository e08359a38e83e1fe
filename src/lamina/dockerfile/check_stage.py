"""Checks of what a stage's instructions do, followed in order with the variables they see."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lamina.dockerfile import check_rules as rules, instructions as ins
from lamina.dockerfile.buildargs import StageArguments
from lamina.dockerfile.check_rules import CheckWarning, Rule
from lamina.dockerfile.gostrings import clean, quote
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.dockerfile.shellwords import Expander, Expansions, environment
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import Stage
from lamina.dockerfile.suggestion import Suggestions
from lamina.oci.platform import Platform

_DEFAULT_ENV = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
_SECRET = re.compile(
    "(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_NOT_LOCAL = re.compile(r"https?://|git://|git@|ssh://")
_UNSEEN = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What is known of a base image."""

    env: tuple[str, ...] = _DEFAULT_ENV
    shell: tuple[str, ...] = ()
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What a stage leaves to the stages from it.

    `variables` is None where the base image's environment is unknown, and stays so.
    """

    variables: dict[str, str] | None = None
    declared: frozenset[str] = frozenset()
    has_shell: bool = False
    has_workdir: bool = False
    platform: Platform | None = None

    @classmethod
    def of(cls, image: BaseImage | None) -> "StageFacts":
        """The facts of an image, or of one nothing is known of."""
        if image is None:
            return cls()
        return cls(environment(image.env), has_shell=bool(image.shell), platform=image.platform)


@dataclass(slots=True)
class StageChecker:
    """Follows one stage; after `run`, `facts` are what it leaves."""

    stage: Stage
    facts: StageFacts
    arguments: StageArguments
    expander: Expander
    ignore: IgnorePatterns | None
    suggestions: Suggestions
    _set: dict[str, ins.Instruction] = field(default_factory=dict)

    def run(self) -> Iterator[CheckWarning]:
        """Check all instructions, up to one whose expansion fails."""
        for instruction in self.stage.instructions:
            unmatched: set[str] = set()
            try:
                expanded = self._expanded(instruction, unmatched)
            except DockerfileError:
                return
            yield from self._undefined(instruction, unmatched)
            yield from self._check(expanded)

    def platform(self, name: str, expected: Platform) -> Iterator[CheckWarning]:
        """Whether the base image is for the `expected` platform."""
        actual = self.facts.platform
        if actual is None:
            return
        if (actual.os, actual.architecture) != (expected.os, expected.architecture):
            detail = (
                f'Base image {name} was pulled with platform "{actual}", '
                f'expected "{expected}" for current build'
            )
            lines = self.stage.lines
            yield CheckWarning(rules.INVALID_BASE_IMAGE_PLATFORM, detail, lines)

    def _expanded(self, instruction: ins.Instruction, unmatched: set[str]) -> ins.Instruction:
        expansions = Expansions(self.expander, self.facts.variables or {})

        def expand(word: str) -> str:
            expansion = expansions.expand(word)
            unmatched.update(expansion.unmatched)
            return expansion.text

        if isinstance(instruction, ins.Expose):
            words: list[str] = []
            for port in instruction.ports:
                expansion = expansions.expand(port)
                unmatched |= expansion.unmatched
                words += expansion.words
            return replace(instruction, ports=tuple(words))
        return instruction.expanded(expand)

    def _undefined(
        self, instruction: ins.Instruction, unmatched: set[str]
    ) -> Iterator[CheckWarning]:
        if self.facts.variables is None:
            return
        for name in sorted(unmatched - self.facts.declared - _UNSEEN):
            hint = self.suggestions.hint(name, self.facts.variables)
            detail = f"Usage of undefined variable '${name}'{hint.replace('mean ', 'mean $')}"
            yield CheckWarning(rules.UNDEFINED_VAR, detail, instruction.lines)

    def _check(self, instruction: ins.Instruction) -> Iterator[CheckWarning]:
        match instruction:
            case ins.Arg():
                yield from self._arg(instruction)
            case ins.Env(pairs=pairs):
                yield from self._legacy(instruction)
                for pair in pairs:
                    yield from self._secret(instruction, pair.key)
                self._define({pair.key: pair.value for pair in pairs})
            case ins.Label():
                yield from self._legacy(instruction)
            case ins.Cmd(command=command) | ins.Entrypoint(command=command):
                yield from self._once(instruction)
                yield from self._json(instruction, command)
            case ins.Healthcheck():
                yield from self._once(instruction)
            case ins.Shell():
                self.facts = replace(self.facts, has_shell=True)
            case ins.Workdir(path=path):
                yield from self._workdir(instruction, path)
            case ins.Expose(ports=ports):
                yield from self._expose(instruction, ports)
            case ins.Copy(source_from="", sources=sources):
                yield from self._ignored(instruction, "Copy", sources)
            case ins.Add(sources=sources):
                yield from self._ignored(instruction, "Add", sources)
            case _:
                pass

    def _define(self, values: dict[str, str]) -> None:
        if self.facts.variables is not None:
            self.facts = replace(self.facts, variables=self.facts.variables | values)

    def _arg(self, instruction: ins.Arg) -> Iterator[CheckWarning]:
        variables = self.facts.variables or {}
        values: dict[str, str] = {}
        for argument in sorted(instruction.arguments, key=lambda item: item.name):
            yield from self._secret(instruction, argument.name)
            value = self.arguments.declare(argument)
            # An ENV of the same name keeps its value: arguments never override it.
            if value is not None and argument.name not in variables:
                values.setdefault(argument.name, value)
        names = {argument.name for argument in instruction.arguments}
        self.facts = replace(self.facts, declared=self.facts.declared | names)
        self._define(values)

    def _secret(self, instruction: ins.Instruction, key: str) -> Iterator[CheckWarning]:
        if _SECRET.search(key) and not _NO_SECRET.search(key):
            detail = (
                "Do not use ARG or ENV instructions for sensitive data "
                f"({instruction.keyword} {quote(key)})"
            )
            yield CheckWarning(rules.SECRETS_USED_IN_ARG_OR_ENV, detail, instruction.lines)

    def _legacy(self, instruction: ins.Instruction) -> Iterator[CheckWarning]:
        if any(pair.legacy for pair in instruction.node.pairs):
            name = instruction.node.name
            detail = (
                f'"{name} key=value" should be used instead of legacy "{name} key value" format'
            )
            yield CheckWarning(rules.LEGACY_KEY_VALUE_FORMAT, detail, instruction.lines)

    def _once(self, instruction: ins.Instruction) -> Iterator[CheckWarning]:
        earlier = self._set.get(instruction.keyword)
        if earlier is not None:
            detail = (
                f"Multiple {instruction.node.name} instructions should not be used in the same "
                "stage because only the last one will be used"
            )
            # The earlier one is the one without effect.
            yield CheckWarning(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, detail, earlier.lines)
        self._set[instruction.keyword] = instruction

    def _json(
        self, instruction: ins.Instruction, command: ins.CommandLine
    ) -> Iterator[CheckWarning]:
        if command.is_shell and not self.facts.has_shell:
            detail = (
                f"JSON arguments recommended for {instruction.node.name} to prevent unintended "
                "behavior related to OS signals"
            )
            yield CheckWarning(rules.JSON_ARGS_RECOMMENDED, detail, instruction.lines)

    def _workdir(self, instruction: ins.Instruction, path: str) -> Iterator[CheckWarning]:
        if not self.facts.has_workdir and not path.startswith("/"):
            detail = (
                f"Relative workdir {quote(path)} can have unexpected results "
                "if the base image changes"
            )
            yield CheckWarning(rules.WORKDIR_RELATIVE_PATH, detail, instruction.lines)
        self.facts = replace(self.facts, has_workdir=True)

    def _expose(self, instruction: ins.Instruction, ports: Sequence[str]) -> Iterator[CheckWarning]:
        for port in ports:
            found: list[tuple[Rule, str]] = []
            if ":" in port:
                detail = (
                    "EXPOSE instruction should not define an IP address or host-port mapping, "
                    f"found '{port}'"
                )
                found.append((rules.EXPOSE_INVALID_FORMAT, detail))
            protocol = port.partition("/")[2]
            if protocol != protocol.lower():
                detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
                found.append((rules.EXPOSE_PROTO_CASING, detail))
            for rule, detail in found:
                yield CheckWarning(rule, detail, instruction.lines)

    def _ignored(
        self, instruction: ins.Instruction, verb: str, sources: Sequence[str]
    ) -> Iterator[CheckWarning]:
        # With exceptions, what is left of an ignored directory cannot be told from here.
        if self.ignore is None or self.ignore.has_exceptions:
            return
        for source in sources:
            path = clean(source)
            if not _NOT_LOCAL.match(source) and self.ignore.ignores(path):
                detail = (
                    f"Attempting to {verb} file {quote(path)} that is excluded by .dockerignore"
                )
                yield CheckWarning(rules.COPY_IGNORED_FILE, detail, instruction.lines)
