"""``RUN --mount``: what is there while a command runs, made for it and gone with it."""

import asyncio
import contextlib
import os
import posixpath
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from lamina.build.agent import forwarded_agent
from lamina.build.cache_mounts import CacheMounts, CacheWish, Fill
from lamina.build.mounted_trees import FileTree, MountedTrees, place_in
from lamina.build.scratch import MEMORY, scratch_directory
from lamina.build.secret_files import read_secret
from lamina.containers.locating import ownership_of
from lamina.content.threads import run_to_end
from lamina.dockerfile.mounts import Mount, MountType, Sharing
from lamina.errors import InvalidParameter, NotFound
from lamina.oci.rootfs import chain_ids
from lamina.runtime.spec import Mount as RuntimeMount
from lamina.snapshots.native import copy_tree
from lamina.snapshots.stopping import Stop


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
        trees: MountedTrees,
        caches: CacheMounts,
        *,
        directory: Path,
        secrets: Mapping[str, bytes | os.PathLike[str]],
        agents: Mapping[str, os.PathLike[str]],
    ) -> None:
        self.trees = trees
        self.caches = caches
        self._directory = directory
        self._secrets = dict(secrets)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
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

    async def secret(self, name: str) -> bytes | None:
        """The value of a secret, None if there is none. Raises as `read_secret`."""
        # Of a file it is read once: a pipe has it only once.
        async with self._turns[name]:
            found = self._secrets.get(name)
            if found is not None and not isinstance(found, bytes):
                found = self._secrets[name] = await read_secret(name, Path(found))
            return found

    def agent(self, name: str) -> Path | None:
        """The socket of an SSH agent, None if there is none of that name."""
        found = self._agents.get(name)
        return None if found is None else Path(found)


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
                await self._cache(mount)
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
        await run_to_end(lambda: _write_script(directory, name, text))
        self._mount(SCRIPTS, directory, read_only=True)

    async def _bind(self, mount: Mount) -> None:
        tree = self._wanted.trees[mount.source_from]
        mounted = await self._stack.enter_async_context(self._maker.trees.unpacked(tree))
        path = await run_to_end(lambda: place_in(mounted.path, mount.source, tree.name))
        self._mount(self._target(mount), mounted.inside / path, read_only=mount.read_only)

    async def hold_caches(self) -> None:
        """Hold the caches, each once, as its first mount asks for it.

        In the order of their names: so commands that want the same ones wait for each other, but
        never in a circle.
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
        """What a cache is known by: with another beginning, it is another one."""
        name = mount.id or self._target(mount)
        if namespace := self._wanted.namespace:
            name = f"{namespace}/{name.lstrip('/')}"
        if mount.source_from:
            chain = chain_ids(one.diff_id for one in self._wanted.trees[mount.source_from].layers)
            name = " ".join((name, "from", *map(str, chain[-1:]), mount.source)).rstrip()
        return name

    def _wish(self, name: str, mount: Mount) -> CacheWish:
        return CacheWish(
            name=name,
            description=f"cached mount {self._target(mount)} with id {name!r}",
            sharing=mount.sharing or Sharing.SHARED,
            mode=0o755 if mount.mode is None else mount.mode & 0o7777,
            uid=mount.uid or 0,
            gid=mount.gid or 0,
        )

    async def _cache(self, mount: Mount) -> None:
        target, name = self._target(mount), self._cache_name(mount)
        path = self._caches[name]
        if mount.source and not mount.source_from:
            path = path / await run_to_end(lambda: place_in(path, mount.source, name))
        self._mount(target, path, read_only=mount.read_only)

    def _filler(self, mount: Mount) -> Fill:
        tree, trees = self._wanted.trees[mount.source_from], self._maker.trees

        async def fill(directory: Path) -> None:
            async with trees.unpacked(tree) as mounted:
                path = await run_to_end(lambda: place_in(mounted.path, mount.source, tree.name))
                source = mounted.path / path
                if not source.is_dir():
                    return
                ownership = await ownership_of(trees.containers)
                stop = Stop()
                copy = partial(copy_tree, source, directory, ownership, stop)
                await run_to_end(copy, stop=stop.set)

        return fill

    async def _secret(self, mount: Mount) -> None:
        name = mount.id or mount.source or posixpath.basename(mount.target)
        value = await self._maker.secret(name)
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
        await run_to_end(lambda: _write_secret(path, value, mount))
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
            # Its path is short: that of a socket has to be.
            self._maker.private_directory(in_memory=True)
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


def _write_script(directory: Path, name: str, text: str) -> None:
    directory.chmod(0o755)
    script = directory / name
    script.write_bytes(text.encode())
    script.chmod(0o755)


def _write_secret(path: Path, value: bytes, mount: Mount) -> None:
    path.write_bytes(value)
    _give(path, mount, mode=0o400)


def _give(path: Path, mount: Mount, *, mode: int) -> None:
    """Set the owner and the mode that a mount asks for."""
    if os.geteuid() == 0:
        os.chown(path, mount.uid or 0, mount.gid or 0)
    path.chmod(mode if mount.mode is None else mount.mode & 0o7777)


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
