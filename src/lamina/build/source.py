"""The Dockerfile of a build: where it is, and what a dockerd says if it is not good."""

from lamina.build.context import BuildContext
from lamina.dockerfile.gostrings import clean
from lamina.dockerfile.ignore import MAX_IGNORE_SIZE, IgnorePatterns
from lamina.dockerfile.parser import parse
from lamina.dockerfile.source import MAX_DOCKERFILE_SIZE, DockerfileError
from lamina.dockerfile.stages import Dockerfile, divide
from lamina.errors import InvalidParameter, LaminaError
from lamina.layers.view import FileView, Found, LinkLoop

_USUAL = ("Dockerfile", "dockerfile")


def read_dockerfile(context: BuildContext, path: str) -> tuple[Dockerfile, IgnorePatterns | None]:
    """The Dockerfile at `path` in the context, the usual one in small letters too; what it ignores.

    A ``<Dockerfile>.dockerignore`` beside it goes before the context's ``.dockerignore``. Raises
    LaminaError where there is none, InvalidParameter for one that is no Dockerfile.
    """
    names = (path,) if path not in {"", _USUAL[0]} else _USUAL
    view = FileView([context.index])
    for name in names:
        if clean(name) == ".." or clean(name).startswith("../"):
            raise _forbidden(name)
        inside = clean("/" + name).lstrip("/")
        found = _found(view, inside, name)
        if found is None:
            continue
        if found.is_directory:
            raise LaminaError(f"unexpected error reading Dockerfile: read {name}: is a directory")
        raw = context.read(found.entry.path, MAX_DOCKERFILE_SIZE)
        return _parse(raw, name), _ignored(context, view, inside)
    raise LaminaError(f"Cannot locate specified Dockerfile: {names[0]}")


def _found(view: FileView, path: str, name: str) -> Found | None:
    """What is at a path, past links."""
    try:
        true = view.resolve(path)
    except LinkLoop:
        raise _forbidden(name) from None
    if view.is_below_a_file(true):
        raise _forbidden(name)
    return view.get(true)


def _forbidden(name: str) -> LaminaError:
    return LaminaError(f"forbidden path outside the build context: {name} ()")


def _ignored(context: BuildContext, view: FileView, dockerfile: str) -> IgnorePatterns | None:
    for path in (f"{dockerfile}.dockerignore", ".dockerignore"):
        found = _found(view, path, path)
        if found is None:
            continue
        if found.is_directory:
            raise LaminaError(f"Error reading .dockerignore: read /{path}: is a directory")
        raw = context.read(found.entry.path, MAX_IGNORE_SIZE)
        return IgnorePatterns.parse(raw.decode(errors="replace"))
    return None


def _parse(raw: bytes, name: str) -> Dockerfile:
    if not raw:
        raise InvalidParameter(f"the Dockerfile ({name}) cannot be empty")
    try:
        document = parse(raw)
    except DockerfileError as error:
        raise InvalidParameter(f"failed to parse {name}: {error}") from error
    return divide(document)
