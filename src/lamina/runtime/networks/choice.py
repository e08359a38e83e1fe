"""Which way out the networks of sandboxes have: the first that is installed and works here."""

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from lamina.errors import Unavailable
from lamina.runtime.networks.bridge import Bridge
from lamina.runtime.networks.cni import CniWay
from lamina.runtime.networks.namespaces import Surroundings
from lamina.runtime.networks.network import Way
from lamina.runtime.networks.pasta import PastaWay
from lamina.runtime.networks.plugins import find_plugins
from lamina.runtime.networks.slirp import SlirpWay
from lamina.runtime.programs import find_program

__all__ = ["DRIVERS", "Networks", "sweep_networks"]

DRIVERS: Final = ("slirp4netns", "pasta", "cni")
"""In the order in which they are tried: what changes nothing of the host comes first."""


class Networks:
    """The networks of one engine, made where `surroundings` says.

    `bridge` is where the bridge of the engine's root is kept, and `process` names the engine among
    those that share it. `driver` asks for one way; without it, they are tried in turn.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        bridge: Path,
        process: str,
        driver: str | None = None,
        logger: logging.Logger,
        find: Callable[[str], str | None] = find_program,
    ) -> None:
        self.surroundings: Final = surroundings
        self._bridge = bridge
        self._process = process
        self._driver = driver
        self._logger = logger
        self._find = find
        self._choosing = asyncio.Lock()
        self._way: Way | None = None
        self.passed_over: dict[str, str] = {}
        """What is installed and does not work, and why."""

    @property
    def name(self) -> str:
        """The way that is used, or will be, as it looks now; empty if there is none."""
        if self._way is not None:
            return self._way.name
        names = (way.name for way in self._installed() if way.name not in self.passed_over)
        return next(names, "")

    async def way(self) -> Way | None:
        """The way that is used; None if none is installed that works.

        What does not work is not tried again; what is installed later is.
        """
        async with self._choosing:
            if self._way is None:
                for way in self._installed():
                    if way.name not in self.passed_over and await self._works(way):
                        self._way = way
                        break
            return self._way

    async def lacking(self) -> str:
        """Why there is no way out, in a sentence with what to do; empty if there is one."""
        if await self.way() is not None:
            return ""
        if self._driver is not None:
            why = f"There is no {self._driver} here that container networks could use"
        elif self.passed_over:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.passed_over.items())
            why = f"No program for container networks works here ({reasons})"
        else:
            why = "No program for container networks is installed"
        return (
            f"{why}, so the container has a loopback device only:"
            " install slirp4netns, or use the network mode host."
        )

    async def _works(self, way: Way) -> bool:
        if way.name == self._driver:
            # Who asks for it knows.
            return True
        try:
            await way.check()
        except Unavailable as error:
            self.passed_over[way.name] = str(error)
            self._logger.info("networks: %s does not work here: %s", way.name, error)
            return False
        return True

    def _installed(self) -> Iterator[Way]:
        for name in DRIVERS if self._driver is None else (self._driver,):
            if (way := self._found(name)) is not None:
                yield way

    def _found(self, name: str) -> Way | None:
        if name == "cni":
            if self.surroundings.rootless or (plugins := find_plugins(self._find)) is None:
                return None
            bridge = Bridge(self._bridge, plugins)
            return CniWay(bridge, self.surroundings, process=self._process, logger=self._logger)
        if (program := self._find(name)) is None:
            return None
        kind = PastaWay if name == "pasta" else SlirpWay
        return kind(program, self.surroundings)


def sweep_networks(
    bridge: Path,
    living: Callable[[], Collection[str]],
    *,
    find: Callable[[str], str | None] = find_program,
) -> None:
    """Take off the bridge what engines have left that are gone; `living` names those that are not.

    Unavailable, OSError. For worker threads.
    """
    if bridge.is_dir() and any(bridge.iterdir()) and not os.geteuid():
        plugins = find_plugins(find)
        if plugins is None:
            raise Unavailable("the CNI plugins are gone that a network was made with")
        Bridge(bridge, plugins).sweep(living)
