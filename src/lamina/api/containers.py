"""``/containers/…``: what containers there are, and from nothing to a container and back."""

from lamina.api.container_bodies import read_create, read_resources
from lamina.api.exchange import Exchange
from lamina.api.router import Route
from lamina.api.versions import ApiVersion, shape_container
from lamina.container_api import ContainerApi
from lamina.errors import InvalidParameter


class ContainerHandlers:
    """Makes, lists, describes, changes and removes containers."""

    def __init__(self, engine: ContainerApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/containers/json", self.list),
            Route("GET", "/containers/ps", self.list),
            Route("POST", "/containers/create", self.create),
            Route("POST", "/containers/prune", self.prune, ApiVersion(1, 25)),
            Route("GET", "/containers/{name}/json", self.inspect),
            Route("GET", "/containers/{name}/top", self.top),
            Route("GET", "/containers/{name}/changes", self.changes),
            Route("POST", "/containers/{name}/rename", self.rename),
            Route("POST", "/containers/{name}/update", self.update),
            Route("DELETE", "/containers/{name}", self.delete),
        ]

    async def list(self, exchange: Exchange) -> None:
        """``GET /containers/json``."""
        query = exchange.query
        containers = await self._engine.container_list(
            all=query.flag("all"),
            limit=query.integer("limit") or 0,
            size=query.flag("size"),
            filters=query.filters(),
        )
        exchange.reply_value(containers)

    async def create(self, exchange: Exchange) -> None:
        """``POST /containers/create``."""
        query = exchange.query
        body = await read_create(exchange)
        created = await self._engine.container_create(
            body.config,
            host_config=body.host_config,
            networking_config=body.networking_config,
            name=query.text("name"),
            platform=query.text("platform") if exchange.version >= (1, 41) else "",
        )
        exchange.reply_value(created, 201)

    async def prune(self, exchange: Exchange) -> None:
        """``POST /containers/prune``."""
        exchange.reply_value(await self._engine.container_prune(filters=exchange.query.filters()))

    async def inspect(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/json``."""
        size = exchange.query.flag("size")
        container = await self._engine.container_inspect(exchange.name, size=size)
        exchange.reply_value(shape_container(container, exchange.version))

    async def top(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/top``."""
        ps_args = exchange.query.text("ps_args") or "-ef"
        exchange.reply_value(await self._engine.container_top(exchange.name, ps_args=ps_args))

    async def changes(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/changes``."""
        # Go's nil slice: where nothing has changed is null.
        exchange.reply_value(await self._engine.container_changes(exchange.name) or None)

    async def rename(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/rename``."""
        await self._engine.container_rename(exchange.name, name=exchange.query.text("name"))
        exchange.reply_empty(204)

    async def update(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/update``."""
        resources = await read_resources(exchange)
        exchange.reply_value(await self._engine.container_update(exchange.name, resources))

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /containers/{name}``."""
        if not exchange.name:
            raise InvalidParameter('invalid name or ID supplied: ""')
        query = exchange.query
        await self._engine.container_delete(
            exchange.name, v=query.flag("v"), force=query.flag("force"), link=query.flag("link")
        )
        exchange.reply_empty(204)
