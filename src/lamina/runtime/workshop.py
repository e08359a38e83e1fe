"""Where an engine runs things: snapshots and the runtime, each found when it is first needed.

::

    ROOT/snapshots/DRIVER/    as `lamina.snapshots.choice` has it
    ROOT/run/PROCESS/         the runtime of one process that uses the root
    ROOT/bridge/              as `lamina.runtime.networks.bridge` has it

The key of a snapshot begins with the process that has made it, so that what a killed one was at is
told from what others are at.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.content.store import BlobStore
from lamina.errors import Conflict, Unavailable
from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue
from lamina.records.records import Records
from lamina.runtime.layer_sources import layer_sources
from lamina.runtime.networks.choice import Networks, sweep_networks
from lamina.runtime.networks.namespaces import Surroundings
from lamina.runtime.ocispec import Machine
from lamina.runtime.programs import find_init
from lamina.runtime.rootfs import RootFilesystems
from lamina.runtime.runtime import Runtime
from lamina.runtime.supervisor import Exit
from lamina.runtime.sweeping import sweep_runtimes
from lamina.snapshots.choice import choose_snapshots
from lamina.snapshots.mounting import mounts_below
from lamina.snapshots.store import LayerSource, Mounted, Snapshots

__all__ = ["Workshop", "WorkshopFacts"]


@dataclass(frozen=True, slots=True)
class WorkshopFacts:
    """What it works with."""

    driver: str
    driver_details: Mapping[str, str]
    runtimes: Mapping[str, str]
    """OCI runtimes by name, and where they are: the one that is used first, if that is known."""
    init: Path | None
    machine: Machine
    network: str
    """The way out of containers' own networks; empty if there is none."""


class Workshop:
    """Belongs to one engine, and to its event loop.

    `driver` asks for one way of keeping snapshots, `program` for one OCI runtime, `network` for one
    way out of networks; without them what works is found by trying.
    """

    def __init__(
        self,
        root: Path,
        records: Records,
        blobs: BlobStore,
        *,
        logger: logging.Logger,
        driver: str | None = None,
        program: str | None = None,
        network: str | None = None,
    ) -> None:
        self._root = root
        self._records = records
        self._blobs = blobs
        self._logger = logger
        self._driver = driver
        self._program = program
        self._network = network
        self._choosing = asyncio.Lock()
        self._snapshots: Snapshots | None = None
        self._filesystems: RootFilesystems | None = None
        self._runtime: Runtime | None = None
        self._networks: Networks | None = None

    async def snapshots(self) -> Snapshots:
        """What keeps root filesystems. Unavailable if what was asked for does not work."""
        async with self._choosing:
            if self._snapshots is None:
                choice = await asyncio.to_thread(
                    choose_snapshots, self._root / "snapshots", driver=self._driver
                )
                for driver, why in choice.passed_over.items():
                    self._logger.info("snapshots: %s does not work here: %s", driver, why)
                self._snapshots = choice.snapshots
                self._filesystems = RootFilesystems(choice.snapshots)
            return self._snapshots

    async def runtime(self) -> Runtime:
        """What runs processes; starts nothing yet."""
        networks = await self.networks()
        if self._runtime is None:
            around = networks.surroundings
            self._runtime = Runtime(
                around.directory,
                program=self._program,
                command=around.command,
                rootless=around.rootless,
                networks=networks,
            )
        return self._runtime

    async def networks(self) -> Networks:
        """The networks with a way out; none is tried yet."""
        snapshots = await self.snapshots()
        if self._networks is None:
            self._networks = Networks(
                Surroundings(
                    directory=self._root / "run" / self._records.process,
                    command=snapshots.command,
                    rootless=snapshots.driver == "overlay-userns",
                ),
                bridge=self._root / "bridge",
                process=self._records.process,
                driver=self._network,
                logger=self._logger,
            )
        return self._networks

    async def facts(self) -> WorkshopFacts:
        """What it works with; neither OCI runtimes nor networks are tried for it."""
        snapshots, runtime = await self.snapshots(), await self.runtime()
        networks = await self.networks()
        try:
            init = find_init()
        except Unavailable:
            init = None
        return WorkshopFacts(
            driver=snapshots.driver,
            driver_details=snapshots.details,
            runtimes=runtime.programs(),
            init=init,
            machine=runtime.machine,
            network=networks.name,
        )

    def bundle(self, process: str, name: str) -> Path:
        """Where the files of a sandbox are that some process runs."""
        return self._root / "run" / process / "bundles" / name

    def key(self) -> str:
        """A new key for a snapshot of this process."""
        return f"{self._records.process}-{secrets.token_hex(8)}"

    def layers(self, diff_ids: Iterable[Digest], catalogue: Catalogue) -> list[LayerSource]:
        """Layers of the store, to be unpacked. They must stay: an image has them, or a lease."""
        return layer_sources(catalogue, self._blobs, diff_ids)

    async def create(self, key: str, layers: Iterable[LayerSource]) -> Mounted:
        """Make a root filesystem for a container over layers, base first, and mount it.

        With the places where an engine mounts its own things. Conflict, InvalidLayer, OSError.
        """
        await self.snapshots()
        assert self._filesystems is not None
        return await self._filesystems.create(key, list(layers))

    async def mount(self, key: str, layers: Iterable[LayerSource]) -> Mounted:
        """Mount a root filesystem that was made over these layers, maybe long ago. NotFound."""
        await self.snapshots()
        assert self._filesystems is not None
        return await self._filesystems.mount(key, list(layers))

    async def remove(self, key: str) -> None:
        """Unmount and remove a root filesystem. NotFound."""
        await self.snapshots()
        assert self._filesystems is not None
        await self._filesystems.remove(key)

    async def sweep(self, *, wanted: Callable[[], Collection[str]] = tuple) -> dict[str, Exit]:
        """Remove what processes that were killed have left: sandboxes, and snapshots.

        `wanted` gives the keys of the snapshots that are needed though their makers are gone; it is
        asked after the makers, who may have recorded theirs just before they ended.
        Returns how their sandboxes ended, as far as that is known.
        """
        ended = await sweep_runtimes(self._root / "run", keep=self._records.living())
        await self._sweep_bridge()
        found = await asyncio.to_thread(self._found)
        living = self._records.living()
        needed = wanted()
        if any(
            path.parent.name == "staging"
            or not (path.name.partition("-")[0] in living or path.name in needed)
            for path in found
        ):
            snapshots = await self.snapshots()
            await snapshots.sweep(
                keep=lambda key: key.partition("-")[0] in self._records.living() or key in wanted()
            )
            if living == {self._records.process}:
                # Nobody else can be about to use a tree that neither image nor snapshot needs yet.
                await self.forget_trees()
        return ended

    async def _sweep_bridge(self) -> None:
        try:
            await asyncio.to_thread(sweep_networks, self._root / "bridge", self._records.living)
        except (OSError, Unavailable) as error:
            # It is no reason to open nothing, and tried again by who is next to.
            self._logger.warning("networks: %s", error)

    def _found(self) -> list[Path]:
        """The directories of all snapshots, and of what is on its way to be one or was one."""
        return [
            path
            for pattern in ("snapshots/*", "staging/*")
            for path in (self._root / "snapshots").glob(f"*/{pattern}")
        ]

    async def has_mounts(self) -> bool:
        """Whether anything is mounted there, by whatever process."""
        places = await asyncio.to_thread(mounts_below, self._root / "snapshots")
        return bool(places)

    async def forget_trees(self) -> None:
        """Remove the layer trees that neither an image nor a snapshot needs."""
        if not await asyncio.to_thread((self._root / "snapshots").is_dir):
            return
        snapshots = await self.snapshots()
        for chain_id in await snapshots.trees():
            if not self._records.catalogue.chain_users(chain_id):
                with suppress(Conflict):
                    await snapshots.remove_tree(chain_id)

    async def close(self) -> None:
        """End what runs, and let go of the rest."""
        if self._runtime is not None:
            await self._runtime.close()
        if self._snapshots is not None:
            await self._snapshots.close()
