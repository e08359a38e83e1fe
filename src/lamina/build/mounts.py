"""``RUN --mount``: what is there while a command runs, made for it and gone with it."""

import asyncio
import contextlib
import os
import posixpath
import shutil
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lamina.build.agent import forwarded_agent
from lamina.build.cache_mounts import CacheMounts, CacheWish, Fill
from lamina.build.scratch import MEMORY, scratch_directory
from lamina.content.threads import run_to_end
from lamina.dockerfile.mounts import Mount, MountType, Sharing
from lamina.errors import Conflict, InvalidParameter, LaminaError, NotFound
from lamina.oci.rootfs import chain_ids
from lamina.runtime.spec import Mount as RuntimeMount
from lamina.runtime.workshop import Workshop
from lamina.snapshots.store import LayerSource, Snapshots

_MAX_SECRET: Final = 500 << 10
_MAX_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class FileTree:
    """Files that a mount shows: `layers`, base first; `name` is for messages."""

    name: str
    layers: tuple[LayerSource, ...]
    is_passing: bool = False
    """No other build will have the same files: what is unpacked of them need not be kept."""


@dataclass(frozen=True, slots=True)
class RunMounts:
    """The mounts of one RUN; `trees` are those of ``from``, by that name (empty: the context)."""

    mounts: tuple[Mount, ...] = ()
    trees: Mapping[str, FileTree] = field(default_factory=dict)
    working_dir: str = "/"
    namespace: str = ""
    """Goes before the names of caches (BUILDKIT_CACHE_MOUNT_NS)."""
    script: tuple[str, str] | None = None
    """Name and text of a heredoc that is run itself."""


@dataclass(frozen=True, slots=True)
class MadeMounts:
    """What the runtime is told."""

    mounts: tuple[RuntimeMount, ...]
    env: tuple[str, ...]


SCRIPTS: Final = "/dev/pipes"
"""Where a heredoc lies that is run itself."""


class MountMaker:
    """Makes the mounts of one build's commands."""

    def __init__(
        self,
        workshop: Workshop,
        caches: CacheMounts,
        *,
        directory: Path,
        secrets: Mapping[str, bytes | os.PathLike[str]],
        agents: Mapping[str, os.PathLike[str]],
    ) -> None:
        self._workshop = workshop
        self._caches = caches
        self._directory = directory
        self._secrets = secrets
        self._agents = agents

    @asynccontextmanager
    async def made(self, wanted: RunMounts) -> AsyncIterator[MadeMounts]:
        """The mounts, while the context lasts.

        Raises LaminaError for a secret, an agent or a file that is not there.
        """
        async with contextlib.AsyncExitStack() as stack:
            work = _Work(self, wanted, stack)
            await work.hold_caches()
            for mount in wanted.mounts:
                await work.add(mount)
            if wanted.script is not None:
                await work.add_script(*wanted.script)
            yield MadeMounts(tuple(work.mounts), tuple(work.env))

    def private_directory(self, *, in_memory: bool) -> AbstractAsyncContextManager[Path]:
        """A directory that only this user sees into, gone with the context."""
        parent = MEMORY if in_memory and os.access(MEMORY, os.W_OK) else self._directory
        return scratch_directory(parent)

    @asynccontextmanager
    async def unpacked(self, tree: FileTree) -> AsyncIterator[tuple[Path, Path]]:
        """A tree on disk: as this process finds it, and as the runtime does."""
        snapshots = await self._workshop.snapshots()
        key = self._workshop.key()
        try:
            await snapshots.create(key, tree.layers)
            mounted = await snapshots.mount(key)
            yield mounted.path, mounted.inside
        finally:
            await asyncio.shield(asyncio.create_task(_forget(snapshots, key, tree)))

    def secret(self, name: str) -> bytes | None:
        """The value of a secret, None if there is none; for a worker thread.

        Raises InvalidParameter, LaminaError.
        """
        found = self._secrets.get(name)
        if found is None or isinstance(found, bytes):
            return found
        try:
            with Path(found).open("rb") as file:
                value = file.read(_MAX_SECRET + 1)
        except OSError as error:
            raise LaminaError(f"failed to read secret {name}: {error.strerror}") from error
        if len(value) > _MAX_SECRET:
            raise InvalidParameter(f"invalid secret size: {name} is larger than {_MAX_SECRET}")
        return value

    def agent(self, name: str) -> Path | None:
        """The socket of an SSH agent, None if there is none of that name."""
        found = self._agents.get(name)
        return None if found is None else Path(found)

    @property
    def caches(self) -> CacheMounts:
        """The contents of cache mounts."""
        return self._caches


async def _forget(snapshots: Snapshots, key: str, tree: FileTree) -> None:
    with contextlib.suppress(NotFound):
        await snapshots.remove(key)
    if tree.is_passing:
        for chain_id in chain_ids(layer.diff_id for layer in tree.layers):
            # Another step of the build may have it mounted.
            with contextlib.suppress(Conflict):
                await snapshots.remove_tree(chain_id)


class _Work:
    """The mounts of one command, as they are made."""

    def __init__(
        self, maker: MountMaker, wanted: RunMounts, stack: contextlib.AsyncExitStack
    ) -> None:
        self._maker = maker
        self._wanted = wanted
        self._stack = stack
        self._agents = 0
        self._caches: dict[str, Path] = {}
        self.mounts: list[RuntimeMount] = []
        self.env: list[str] = []

    async def add(self, mount: Mount) -> None:
        match mount.type:
            case MountType.BIND:
                await self._bind(mount)
            case MountType.CACHE:
                self._cache(mount)
            case MountType.TMPFS:
                size = (f"size={mount.size}",) if mount.size else ()
                options = ("nosuid", "nodev", "mode=1777", *size)
                self.mounts.append(RuntimeMount(self._target(mount), "tmpfs", "tmpfs", options))
            case MountType.SECRET:
                await self._secret(mount)
            case MountType.SSH:
                await self._ssh(mount)

    async def add_script(self, name: str, text: str) -> None:
        directory = await self._stack.enter_async_context(
            self._maker.private_directory(in_memory=False)
        )
        directory.chmod(0o755)
        script = directory / name
        script.write_text(text)
        script.chmod(0o755)
        self._mount(SCRIPTS, directory, read_only=True)

    async def _bind(self, mount: Mount) -> None:
        tree = self._wanted.trees[mount.source_from]
        here, inside = await self._stack.enter_async_context(self._maker.unpacked(tree))
        path = _resolved(here, mount.source, tree)
        self._mount(self._target(mount), inside / path, read_only=mount.read_only)

    async def hold_caches(self) -> None:
        """Hold the caches, each once, as its first mount asks for it.

        In the order of their names: so commands that want the same ones wait for each other in turn,
        and never in a circle.
        """
        wishes: dict[str, CacheWish] = {}
        fills: dict[str, Fill] = {}
        for mount in self._wanted.mounts:
            if mount.type is not MountType.CACHE:
                continue
            name = self._cache_name(mount)
            wish = wishes.setdefault(name, self._wish(name, mount))
            if mount.source_from:
                fills.setdefault(name, self._filler(mount))
            is_part = bool(mount.source and not mount.source_from)
            if wish.sharing is Sharing.SHARED and (is_part or mount.sharing is Sharing.LOCKED):
                # Whoever else has it could put a link, which leads anywhere, in the place of a part
                # between our look and the mount.
                wishes[name] = replace(wish, sharing=Sharing.LOCKED)
        for name, wish in sorted(wishes.items()):
            held = self._maker.caches.held(wish, fills.get(name))
            self._caches[name] = await self._stack.enter_async_context(held)

    def _cache_name(self, mount: Mount) -> str:
        name = mount.id or self._target(mount)
        namespace = self._wanted.namespace
        return f"{namespace}/{name.lstrip('/')}" if namespace else name

    def _wish(self, name: str, mount: Mount) -> CacheWish:
        return CacheWish(
            name=name,
            description=f"cached mount {self._target(mount)} with id {name!r}",
            sharing=mount.sharing or Sharing.SHARED,
            mode=0o755 if mount.mode is None else mount.mode,
            uid=mount.uid or 0,
            gid=mount.gid or 0,
        )

    def _cache(self, mount: Mount) -> None:
        target, name = self._target(mount), self._cache_name(mount)
        path = self._caches[name]
        if mount.source and not mount.source_from:
            path = path / _resolved(path, mount.source, FileTree(name, ()))
        self._mount(target, path, read_only=mount.read_only)

    def _filler(self, mount: Mount) -> Fill:
        tree = self._wanted.trees[mount.source_from]

        async def fill(directory: Path) -> None:
            async with self._maker.unpacked(tree) as (here, _):
                source = here / _resolved(here, mount.source, tree)
                if source.is_dir():
                    await run_to_end(lambda: _copy_tree(source, directory))

        return fill

    async def _secret(self, mount: Mount) -> None:
        name = mount.id or mount.source or posixpath.basename(mount.target)
        value = await run_to_end(lambda: self._maker.secret(name))
        if value is None:
            if mount.required:
                raise NotFound(f"secret {name}: not found")
            return
        if mount.env is not None:
            self.env.append(f"{mount.env or name}={value.decode(errors='surrogateescape')}")
        if mount.env is not None and not mount.target:
            return
        directory = await self._stack.enter_async_context(
            self._maker.private_directory(in_memory=True)
        )
        path = directory / "secret"
        path.write_bytes(value)
        _give(path, mount, mode=0o400)
        target = self._at(mount.target or f"/run/secrets/{name}")
        self._mount(target, path, read_only=True)

    async def _ssh(self, mount: Mount) -> None:
        name = mount.id or "default"
        agent = self._maker.agent(name)
        if agent is None:
            if mount.required:
                raise NotFound(f"no SSH key {name!r} forwarded from the client")
            return
        directory = await self._stack.enter_async_context(
            self._maker.private_directory(in_memory=False)
        )
        path = directory / "agent"
        await self._stack.enter_async_context(forwarded_agent(agent, path))
        _give(path, mount, mode=0o600)
        target = self._at(mount.target or f"/run/buildkit/ssh_agent.{self._agents}")
        self._agents += 1
        if not any(entry.startswith("SSH_AUTH_SOCK=") for entry in self.env):
            self.env.append(f"SSH_AUTH_SOCK={target}")
        self._mount(target, path, read_only=False)

    def _target(self, mount: Mount) -> str:
        if not mount.target:
            raise InvalidParameter(f"{mount.type} mount requires a target")
        target = self._at(mount.target)
        if target == "/":
            raise InvalidParameter(f"invalid mount target {mount.target!r}")
        return target

    def _at(self, path: str) -> str:
        joined = posixpath.normpath(posixpath.join("/", self._wanted.working_dir, path))
        return "/" + joined.lstrip("/")

    def _mount(self, target: str, source: Path, *, read_only: bool) -> None:
        access = ("ro",) if read_only else ()
        self.mounts.append(
            RuntimeMount(target, str(source), "bind", ("rbind", "rprivate", *access))
        )


def _give(path: Path, mount: Mount, *, mode: int) -> None:
    """Set the owner and the mode that a mount asks for."""
    if os.geteuid() == 0:
        os.chown(path, mount.uid or 0, mount.gid or 0)
    path.chmod(mode if mount.mode is None else mount.mode)


def _resolved(root: Path, path: str, tree: FileTree) -> Path:
    """The true place of `path` below `root`, relative to it; links never lead out of it.

    Raises NotFound.
    """
    waiting = [part for part in path.split("/") if part not in ("", ".")]
    waiting.reverse()
    true: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            del true[-1:]
            continue
        here = root.joinpath(*true, part)
        try:
            found = here.lstat()
        except OSError:
            raise NotFound(
                f'failed to compute cache key: "{path}" not found in {tree.name}'
            ) from None
        if not stat.S_ISLNK(found.st_mode):
            true.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InvalidParameter(f"{path}: too many levels of symbolic links")
        target = str(here.readlink())
        if target.startswith("/"):
            true = []
        waiting += [step for step in reversed(target.split("/")) if step not in ("", ".")]
    return Path(*true)


def _copy_tree(source: Path, target: Path) -> None:
    """The content of a directory, with modes, times, owners and links as they are."""
    for entry in os.scandir(source):
        goal = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            goal.mkdir()
            _copy_tree(Path(entry.path), goal)
        elif entry.is_symlink():
            goal.symlink_to(Path(entry.path).readlink())
        elif entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, goal)
        else:
            continue
        _copy_owner(Path(entry.path), goal)


def _copy_owner(source: Path, goal: Path) -> None:
    found = source.lstat()
    if os.geteuid() == 0:
        os.lchown(goal, found.st_uid, found.st_gid)
    if not stat.S_ISLNK(found.st_mode):
        goal.chmod(stat.S_IMODE(found.st_mode))
        os.utime(goal, ns=(found.st_atime_ns, found.st_mtime_ns))


def words_of(mounts: Sequence[Mount], digests: Mapping[Mount, str]) -> Iterator[str]:
    """What of mounts makes a step another one, as words for its command.

    `digests` names the content of those that show files which are there before.
    """
    for mount in mounts:
        fields = [f"type={mount.type}"]
        for name, value in (
            ("id", mount.id),
            ("source", digests.get(mount, mount.source)),
            ("target", mount.target),
            ("sharing", mount.sharing),
            ("env", mount.env),
            ("size", mount.size),
        ):
            if value:
                fields.append(f"{name}={value}")
        if not mount.read_only:
            fields.append("rw")
        yield f"--mount={','.join(fields)}"
