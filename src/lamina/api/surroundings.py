"""``/networks`` and ``/volumes``: what containers are connected with. None can be made here."""

from lamina.api.exchange import Exchange
from lamina.api.router import Route
from lamina.container_api import ContainerApi
from lamina.errors import Conflict, Forbidden, InvalidParameter, NotImplementedHere


class SurroundingsHandlers:
    """Lists and describes networks and volumes, and says of others why they cannot be."""

    def __init__(self, engine: ContainerApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/networks", self.list_networks),
            Route("POST", "/networks/create", self.create_network),
            Route("GET", "/networks/{name}", self.inspect_network),
            Route("DELETE", "/networks/{name}", self.delete_network),
            Route("POST", "/networks/{name}/connect", self.connect),
            Route("POST", "/networks/{name}/disconnect", self.connect),
            Route("GET", "/volumes", self.list_volumes),
            Route("GET", "/volumes/{name}", self.inspect_volume),
            Route("DELETE", "/volumes/{name}", self.delete_volume),
        ]

    async def list_networks(self, exchange: Exchange) -> None:
        """``GET /networks``."""
        exchange.reply_value(await self._engine.network_list(filters=exchange.query.filters()))

    async def inspect_network(self, exchange: Exchange) -> None:
        """``GET /networks/{id}``."""
        scope = exchange.query.text("scope")
        exchange.reply_value(await self._engine.network_inspect(exchange.name, scope=scope))

    async def create_network(self, _: Exchange) -> None:
        """``POST /networks/create``."""
        raise NotImplementedHere("lamina does not implement networks yet")

    async def delete_network(self, exchange: Exchange) -> None:
        """``DELETE /networks/{id}``."""
        network = await self._engine.network_inspect(exchange.name)
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")

    async def connect(self, exchange: Exchange) -> None:
        """``POST /networks/{id}/connect`` and ``disconnect``."""
        network = await self._engine.network_inspect(exchange.name)
        if network.name == "host":
            raise InvalidParameter(
                "container cannot be disconnected from host network or connected to host network"
            )
        raise NotImplementedHere("lamina does not implement networks yet")

    async def list_volumes(self, exchange: Exchange) -> None:
        """``GET /volumes``."""
        exchange.reply_value(await self._engine.volume_list(filters=exchange.query.filters()))

    async def inspect_volume(self, exchange: Exchange) -> None:
        """``GET /volumes/{name}``."""
        exchange.reply_value(await self._engine.volume_inspect(exchange.name))

    async def delete_volume(self, exchange: Exchange) -> None:
        """``DELETE /volumes/{name}``: each lives as long as the container that it was made for."""
        volume = await self._engine.volume_inspect(exchange.name)
        containers = await self._engine.container_list(all=True, filters={"volume": volume.name})
        users = ", ".join(container.id for container in containers)
        raise Conflict(f"remove {volume.name}: volume is in use - [{users}]")
