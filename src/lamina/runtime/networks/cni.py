"""A way out over a bridge of the host's that CNI plugins make. Needs root, and changes the host."""

import asyncio
import logging
import secrets

from lamina.content.threads import run_to_end
from lamina.errors import Unavailable
from lamina.runtime.networks.bridge import Bridge
from lamina.runtime.networks.namespaces import Namespace, Surroundings
from lamina.runtime.networks.network import Endpoint

__all__ = ["CniWay"]


class CniWay:
    """`Way` over a bridge; `process` is the engine's among those that share it."""

    name = "cni"

    def __init__(
        self, bridge: Bridge, surroundings: Surroundings, *, process: str, logger: logging.Logger
    ) -> None:
        self._bridge = bridge
        self._surroundings = surroundings
        self._process = process
        self._logger = logger
        # Else those who wait for the bridge would take all the threads there are.
        self._turn = asyncio.Lock()

    async def check(self) -> None:
        """As the protocol says."""
        await run_to_end(self._bridge.check)

    async def open(self) -> "CniNetwork":
        """As the protocol says."""
        namespace = await self._surroundings.namespace()
        # A new one each time: what is left of an earlier start may still be at its end.
        id = f"{self._process}-{secrets.token_hex(8)}"
        try:
            async with self._turn:
                # To its end: it must not be at work in a namespace that is closed.
                endpoint = await run_to_end(lambda: self._bridge.attach(id, namespace.path))
        except OSError as error:
            namespace.close()
            raise Unavailable(f"no network: {error}") from error
        except BaseException:
            namespace.close()
            raise
        return CniNetwork(
            self._bridge, namespace, endpoint, id=id, turn=self._turn, logger=self._logger
        )


class CniNetwork:
    """A network namespace on the bridge."""

    def __init__(
        self,
        bridge: Bridge,
        namespace: Namespace,
        endpoint: Endpoint,
        *,
        id: str,
        turn: asyncio.Lock,
        logger: logging.Logger,
    ) -> None:
        self._bridge = bridge
        self._namespace = namespace
        self._id = id
        self._turn = turn
        self._logger = logger
        self.endpoint = endpoint

    @property
    def path(self) -> str:
        """As the protocol says."""
        return self._namespace.path

    async def close(self) -> None:
        """As the protocol says; what cannot be taken away now is when the root is next opened."""
        try:
            async with self._turn:
                await run_to_end(lambda: self._bridge.detach(self._id, self.path))
        except (Unavailable, OSError) as error:
            self._logger.warning("network %s: %s", self._id, error)
        finally:
            self._namespace.close()
