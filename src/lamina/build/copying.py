"""COPY, ADD and WORKDIR: what is asked for, hashed for the cache, then made into a layer."""

import hashlib
import posixpath
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.build.additions import Additions, CopyRules, check_path
from lamina.build.archives import is_archive
from lamina.build.context import spooled
from lamina.build.copied_layer import store_additions
from lamina.build.files import Contents, ContextFiles, Files
from lamina.build.git import GitSource
from lamina.build.modes import parse_mode
from lamina.build.owners import Owner, parse_owner
from lamina.build.picking import (
    Exclusion,
    Picked,
    below,
    hash_of,
    pick,
    pick_exactly,
    whole,
    with_kept,
)
from lamina.build.remote import URL_SCHEMES, is_remote, remote_file, repository
from lamina.content.threads import run_to_end
from lamina.dockerfile.heredoc import Heredoc
from lamina.dockerfile.instructions import Add, Copy, Transfer
from lamina.errors import CorruptData, DigestMismatch, InvalidDigest, LaminaError, NotFound
from lamina.layers.index import IndexEntry
from lamina.layers.tarheader import EntryType
from lamina.layers.view import FileView, Found
from lamina.progress import Report, StreamText
from lamina.records.catalogue import Layer
from lamina.registry.transport import Transport
from lamina.transfer.incoming import Incoming

_LONGEST_USERS: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStep:
    """A COPY or ADD whose sources were found; `digest` is what the cache knows it by."""

    instruction: Transfer
    picked: tuple[Picked, ...]
    digest: str
    exclusion: Exclusion | None

    @property
    def comment(self) -> str:
        """As it is recorded, with the flags that make a difference."""
        one = self.instruction
        flags = f"--chown={one.chown}" if one.chown else ""
        more = [f"--chmod={one.chmod}"] if one.chmod else []
        more += ["--link"] if one.link else []
        more += ["--parents"] if isinstance(one, Copy) and one.parents else []
        more += [f"--exclude={pattern}" for pattern in one.exclude]
        if isinstance(one, Add) and one.unpack is not None:
            more.append(f"--unpack={str(one.unpack).lower()}")
        flags += "".join(f"{flag} " for flag in more)
        return f"{one.keyword} {flags}{self.digest} in {one.destination} "


class Copier:
    """Makes the layers of one build's COPY, ADD and WORKDIR.

    `scratch` is for temporary files, `transport` the way to what ADD names by URL.
    """

    def __init__(self, coming: Incoming, scratch: Path, transport: Transport) -> None:
        self._coming = coming
        self._transport = transport
        self._scratch = scratch

    async def find(
        self, instruction: Transfer, files: Files, stack: AsyncExitStack, *, report: Report
    ) -> CopyStep:
        """Find the sources, and hash them; what is fetched stays until `stack` is closed.

        Raises LaminaError in dockerd's words.
        """
        parents = isinstance(instruction, Copy) and instruction.parents
        exclusion = None
        if instruction.exclude:
            exclusion = Exclusion.of(instruction.exclude, keeps_parents=parents)
        picked: list[Picked] = []
        if instruction.sources:
            picked = await self._pick(instruction, files, exclusion, stack, report=report)
        _check_destination(instruction, len(picked) + len(instruction.files), parents=parents)
        digest = await self._digest(picked, instruction.files, exclusion)
        if parents:
            digest = with_kept(digest, picked)
        return CopyStep(
            instruction=instruction, picked=tuple(picked), digest=digest, exclusion=exclusion
        )

    async def digest_of(self, files: Files, source: str) -> str:
        """The hash of a file or directory that a RUN mounts. Raises NotFound."""
        try:
            picked = await run_to_end(lambda: pick_exactly(files, source))
        except LaminaError:
            raise NotFound(
                f'failed to compute cache key: "{source}" not found in {files.name}'
            ) from None
        return await self._digest([picked], (), None)

    async def _pick(
        self,
        instruction: Transfer,
        files: Files,
        exclusion: Exclusion | None,
        stack: AsyncExitStack,
        *,
        report: Report,
    ) -> list[Picked]:
        keyword = instruction.keyword
        if not isinstance(instruction, Add):
            if any(source.startswith(URL_SCHEMES) for source in instruction.sources):
                raise LaminaError(f"{keyword} failed: source can't be a URL for {keyword}")
            parents = isinstance(instruction, Copy) and instruction.parents
            return await run_to_end(
                lambda: pick(files, instruction.sources, keyword, exclusion, parents=parents)
            )
        picked = [
            await self._fetched(instruction, source, stack, report)
            for source in instruction.sources
            if is_remote(source)
        ]
        local = [source for source in instruction.sources if not is_remote(source)]
        if local:
            picked += await run_to_end(lambda: pick(files, local, keyword, exclusion))
        return picked

    async def _fetched(
        self, instruction: Add, url: str, stack: AsyncExitStack, report: Report
    ) -> Picked:
        """What is behind a URL."""
        checksum = instruction.checksum
        source = GitSource.parse(url)
        if source is not None:
            keep = bool(instruction.keep_git_dir)
            tree = repository(
                self._transport, source, self._scratch, checksum=checksum, keep_git=keep
            )
            return whole(ContextFiles(await stack.enter_async_context(tree)))
        coming = remote_file(self._transport, url, self._scratch, checksum=checksum, report=report)
        try:
            fetched = await stack.enter_async_context(coming)
        except (DigestMismatch, InvalidDigest):
            raise
        except LaminaError as error:
            raise LaminaError(f"{instruction.keyword} failed: {error}") from error
        await report(StreamText("\n"))
        if not fetched.has_name and instruction.destination.endswith("/"):
            raise LaminaError(
                f"{instruction.keyword} failed: cannot determine filename for source {url}"
            )
        files = ContextFiles(fetched.context)
        found = files.view.get(fetched.name)
        assert found is not None  # It is the only file there.
        return Picked(files, fetched.name, fetched.name, found, is_remote=True)

    async def _digest(
        self,
        picked: Sequence[Picked],
        heredocs: Sequence[Heredoc],
        exclusion: Exclusion | None,
    ) -> str:
        async with AsyncExitStack() as stack:
            opened: dict[int, Contents] = {}
            unknown = await run_to_end(lambda: _entries(picked, exclusion))
            for key, (files, wanted) in unknown.items():
                opened[key] = await files.open(wanted, stack, self._scratch)
            return await run_to_end(lambda: _digest(picked, heredocs, exclusion, opened))

    async def copy(
        self, step: CopyStep, base: Files, *, working_dir: str, now: int, latest: int | None
    ) -> Layer:
        """Make the layer, on top of `base`. Raises LaminaError in dockerd's words."""
        instruction = step.instruction
        async with AsyncExitStack() as stack:
            rules = await self._rules(step, base)
            archives = [await self._archive(instruction, one, stack) for one in step.picked]
            under = FileView([]) if instruction.link else base.view
            additions = Additions(under, now=now, latest=latest)
            await run_to_end(lambda: _collect(additions, step, archives, rules, working_dir))
            return await store_additions(additions, self._coming, self._scratch)

    async def working_directory(
        self, path: str, base: Files, *, now: int, latest: int | None
    ) -> Layer | None:
        """The layer that makes a working directory; None if it is there. Raises LaminaError."""
        if has_directory(path, base):
            return None
        additions = Additions(base.view, now=now, latest=latest)
        additions.directory(base.view.resolve(path), CopyRules())
        return await store_additions(additions, self._coming, self._scratch)

    async def _rules(self, step: CopyStep, base: Files) -> CopyRules:
        instruction = step.instruction
        owner: Owner | None = (0, 0)
        if instruction.chown:
            texts = {path: await self._text(base, path) for path in ("etc/passwd", "etc/group")}
            owner = parse_owner(instruction.chown, texts.__getitem__)
        elif isinstance(instruction, Copy) and instruction.source_from:
            owner = None
        return CopyRules(
            owner=owner,
            chmod=parse_mode(instruction.chmod) if instruction.chmod else None,
            exclusion=step.exclusion,
            parents=isinstance(instruction, Copy) and instruction.parents,
        )

    async def _text(self, files: Files, path: str) -> str:
        """The text of a file, empty if there is none."""
        found = files.view.get(files.view.resolve(path))
        if found is None or found.entry.size > _LONGEST_USERS:
            return ""
        async with AsyncExitStack() as stack:
            contents = await files.open({found.layer: [found.entry]}, stack, self._scratch)
            pieces = contents[found.layer].pieces(found.entry)
            raw = await run_to_end(lambda: b"".join(pieces))
        return raw.decode(errors="replace")

    async def _archive(
        self, instruction: Transfer, one: Picked, stack: AsyncExitStack
    ) -> ContextFiles | None:
        """What is in a local archive that ADD unpacks; None for other files."""
        wanted = instruction.unpack if isinstance(instruction, Add) else False
        if wanted is None:
            wanted = not one.is_remote
        if not wanted or one.found.entry.type not in (EntryType.REGULAR, EntryType.HARD_LINK):
            return None
        entry, layer = one.found.entry, one.found.layer
        contents = await one.files.open({layer: [entry]}, stack, self._scratch)
        pieces = contents[layer].pieces(entry)
        beginning = await run_to_end(lambda: next(pieces, b""))
        if not await run_to_end(lambda: is_archive(beginning)):
            return None
        try:
            context = await stack.enter_async_context(
                spooled(_all(beginning, pieces), self._scratch)
            )
        except CorruptData as error:
            raise LaminaError(f"failed to copy files: {error}") from error
        return ContextFiles(context)


def has_directory(path: str, files: Files) -> bool:
    """Whether a working directory is there. Raises LaminaError for one that cannot be."""
    check_path(path)
    true = files.view.resolve(path)
    if files.view.is_below_a_file(true):
        raise LaminaError(f"lstat {path}: not a directory")
    found = files.view.get(true)
    if found is not None and not found.is_directory:
        raise LaminaError(f"Cannot mkdir: {path} is not a directory")
    return found is not None


def _check_destination(instruction: Transfer, count: int, *, parents: bool) -> None:
    if count > 1 and not parents and not instruction.destination.endswith("/"):
        raise LaminaError(
            f"When using {instruction.keyword} with more than one source file, the destination"
            " must be a directory and end with a /"
        )


def _collect(
    additions: Additions,
    step: CopyStep,
    archives: Sequence[ContextFiles | None],
    rules: CopyRules,
    working_dir: str,
) -> None:
    """Put all together that is copied; of an archive, what is in it."""
    target, into = additions.destination(step.instruction.destination, working_dir)
    for one, archive in zip(step.picked, archives, strict=True):
        if archive is not None:
            as_packed = CopyRules(owner=None, chmod=rules.chmod)
            additions.copy(whole(archive), target, as_packed, into=True)
        else:
            additions.copy(one, target, rules, into=into)
    for heredoc in step.instruction.files:
        path = posixpath.join(target, heredoc.file_name) if into else target
        additions.write(path, heredoc.text.encode(), rules)


def _entries(
    picked: Sequence[Picked], exclusion: Exclusion | None
) -> dict[int, tuple[Files, dict[int, list[IndexEntry]]]]:
    """Whose contents are to be hashed: by the identity of the files, then by layer."""
    wanted: dict[int, tuple[Files, dict[int, list[IndexEntry]]]] = {}
    for one in picked:
        _, by_layer = wanted.setdefault(id(one.files), (one.files, {}))
        founds = [one.found]
        if one.found.is_directory:
            founds = [found for _, found, _ in below(one, exclusion)]
        for found in founds:
            if found.entry.size and one.files.hash_of(found) is None:
                by_layer.setdefault(found.layer, []).append(found.entry)
    return wanted


def _digest(
    picked: Sequence[Picked],
    heredocs: Sequence[Heredoc],
    exclusion: Exclusion | None,
    opened: Mapping[int, Contents],
) -> str:
    def read(files: Files, found: Found) -> Iterator[bytes]:
        return opened[id(files)][found.layer].pieces(found.entry) if found.entry.size else iter(())

    digest = hash_of(picked, exclusion, read) if picked else ""
    for heredoc in heredocs:
        text = f"{heredoc.name}\0{heredoc.text}".encode()
        digest = f"{digest}file:{hashlib.sha256(text).hexdigest()}"
    return digest


async def _all(beginning: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    while piece := await run_to_end(lambda: next(pieces, b"")):
        yield piece
