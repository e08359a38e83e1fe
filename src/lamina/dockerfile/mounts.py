"""``RUN --mount=…``: what is there while a command runs, and not in its layer."""

import csv
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lamina.dockerfile.gostrings import quote
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.suggestion import did_you_mean
from lamina.units import parse_size

Expand = Callable[[str], str]
"""Replaces the variables of one word."""


class MountType(enum.StrEnum):
    """Where a mount's content comes from."""

    BIND = "bind"
    CACHE = "cache"
    TMPFS = "tmpfs"
    SECRET = "secret"  # noqa: S105 (the name of a type)
    SSH = "ssh"


class Sharing(enum.StrEnum):
    """What happens when two steps want one cache at a time."""

    SHARED = "shared"
    PRIVATE = "private"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount. What is None or empty has the default of its type, which the builder knows.

    `id` is the cache's, secret's or agent's; `source_from` (``from=``) a stage, image or context;
    `env` the variable a secret is given in; `size` bytes of a tmpfs, 0 without limit.
    """

    type: MountType = MountType.BIND
    source_from: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    id: str = ""
    sharing: Sharing | None = None
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


_KEYS: Final = (
    *("type", "from", "source", "target", "readonly", "id", "sharing", "required", "size"),
    *("mode", "uid", "gid", "src", "dst", "destination", "ro", "rw", "readwrite", "env"),
)
_WITHOUT_VALUE = frozenset({"readonly", "ro", "readwrite", "rw", "required"})
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def check_mount(text: str) -> None:
    """What can be said before variables have values; raises DockerfileError."""
    for entry in _entries(text):
        key, equals, value = entry.partition("=")
        if equals and key.lower() == "from" and re.search(r"\$.", value):
            raise DockerfileError(
                f"'{key.lower()}' doesn't support variable expansion, define alias stage instead"
            )


def parse_mount(text: str, expand: Expand) -> Mount:
    """Read one ``--mount``; raises DockerfileError."""
    reader = _MountReader()
    for entry in _entries(text):
        key, equals, value = entry.partition("=")
        if equals:
            reader.put(key.lower(), expand(value), entry)
        elif key.lower() in _WITHOUT_VALUE:
            reader.put(key.lower(), "true", entry)
        else:
            raise DockerfileError(f"invalid field '{entry}' must be a key=value pair")
    return reader.mount()


def _entries(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DockerfileError(f"failed to parse csv mounts: {error}") from None
    if not rows or not rows[0]:
        raise DockerfileError("failed to parse csv mounts: EOF")
    return rows[0]


class _MountReader:
    """Collects a mount's fields, key by key."""

    def __init__(self) -> None:
        self.type = MountType.BIND
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.read_only: bool | None = None
        self.required = False
        self.sharing: Sharing | None = None
        self.size = 0

    def put(self, key: str, value: str, entry: str) -> None:
        match key:
            case "type":
                self.type = self.mount_type(value)
            case "from" | "id" | "env":
                self.texts[key] = value
            case "source" | "src":
                self.texts["source"] = value
            case "target" | "dst" | "destination":
                self.texts["target"] = value
            case "readonly" | "ro":
                self.read_only = _boolean(key, value)
            case "readwrite" | "rw":
                self.read_only = not _boolean(key, value)
            case "required":
                self.only_for(key, MountType.SECRET, MountType.SSH)
                self.required = _boolean(key, value)
            case "size":
                self.only_for(key, MountType.TMPFS)
                self.size = _size(key, value)
            case "sharing":
                self.sharing = self.sharing_mode(value)
            case "mode":
                self.numbers[key] = _unsigned(key, value, 8)
            case "uid" | "gid":
                self.numbers[key] = _unsigned(key, value, 10)
            case _:
                hint = did_you_mean(key, _KEYS, case_sensitive=True)
                raise DockerfileError(f"unexpected key '{key}' in '{entry}'{hint}")

    def mount_type(self, value: str) -> MountType:
        try:
            return MountType(value.lower())
        except ValueError:
            hint = did_you_mean(value, list(MountType), case_sensitive=True)
            raise DockerfileError(f"unsupported mount type {quote(value)}{hint}") from None

    def sharing_mode(self, value: str) -> Sharing:
        try:
            return Sharing(value.lower())
        except ValueError:
            hint = did_you_mean(value, list(Sharing), case_sensitive=True)
            raise DockerfileError(f"unsupported sharing value {quote(value)}{hint}") from None

    def only_for(self, key: str, *types: MountType) -> None:
        if self.type not in types:
            raise DockerfileError(f"unexpected key '{key}' for mount type '{self.type}'")

    def mount(self) -> Mount:
        self.check()
        writable_by_default = self.type in (MountType.CACHE, MountType.TMPFS)
        return Mount(
            type=self.type,
            source_from=self.texts.get("from", ""),
            source=self.texts.get("source", ""),
            target=self.texts.get("target", ""),
            read_only=not writable_by_default if self.read_only is None else self.read_only,
            id=self.texts.get("id", ""),
            sharing=self.sharing,
            required=self.required,
            size=self.size,
            mode=self.numbers.get("mode"),
            uid=self.numbers.get("uid"),
            gid=self.numbers.get("gid"),
            env=self.texts.get("env"),
        )

    def check(self) -> None:
        if self.type in (MountType.BIND, MountType.TMPFS):
            for key in ("mode", "uid", "gid"):
                if key in self.numbers:
                    raise DockerfileError(f'{key} not allowed for "{self.type}" type mounts')
        if self.type is MountType.SECRET:
            self.check_secret()
        elif "env" in self.texts:
            raise DockerfileError(f"unexpected key 'env' for mount type '{self.type}'")
        if self.sharing is not None and self.type is not MountType.CACHE:
            raise DockerfileError(f"invalid cache sharing set for {self.type} mount")

    def check_secret(self) -> None:
        if self.texts.get("from"):
            raise DockerfileError("secret mount should not have a from")
        if self.sharing is not None:
            raise DockerfileError("secret mount should not define sharing")
        source, id = self.texts.get("source"), self.texts.get("id")
        if not (source or id or self.texts.get("target")):
            raise DockerfileError("invalid secret mount. one of source, target required")
        if source and id:
            raise DockerfileError("both source and id can't be set")


def _boolean(key: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise DockerfileError(f"invalid value for {key}: {value}")
    return value in _TRUE


def _unsigned(key: str, value: str, base: int) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if not value or value.strip(digits) or len(value) > 32 or int(value, base) >= 1 << 32:
        raise DockerfileError(f"invalid value {value} for {key}")
    return int(value, base)


def _size(key: str, value: str) -> int:
    """Bytes of ``64m`` or ``1.5GiB``."""
    try:
        return parse_size(value)
    except ValueError:
        raise DockerfileError(f"invalid value for {key}: {value}") from None
