"""``/images/…``: list, inspect, history, tag, delete, prune."""

from lamina.api.exchange import Exchange
from lamina.api.router import Route
from lamina.api.versions import ApiVersion, shape_inspect, shape_summaries
from lamina.errors import InvalidParameter
from lamina.image_api import ImageApi


class ImageHandlers:
    """Answers what is asked about images, and changes their names."""

    def __init__(self, engine: ImageApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/images/json", self.list),
            Route("GET", "/images/{name}/json", self.inspect),
            Route("GET", "/images/{name}/history", self.history),
            Route("POST", "/images/{name}/tag", self.tag),
            Route("DELETE", "/images/{name}", self.delete),
            Route("POST", "/images/prune", self.prune, ApiVersion(1, 25)),
        ]

    async def list(self, exchange: Exchange) -> None:
        """``GET /images/json``."""
        query, version = exchange.query, exchange.version
        filters = query.filters()
        # The parameter that was there before filters were.
        if version < (1, 25) and (name := query.text("filter")):
            filters.setdefault("reference", [name])
        images = await self._engine.image_list(
            all=query.flag("all"),
            filters=filters,
            shared_size=version >= (1, 42) and query.flag("shared-size"),
            digests=query.flag("digests"),
        )
        exchange.reply_value(shape_summaries(images, version))

    async def inspect(self, exchange: Exchange) -> None:
        """``GET /images/{name}/json``."""
        image = await self._engine.image_inspect(exchange.name)
        exchange.reply_value(shape_inspect(image, exchange.version))

    async def history(self, exchange: Exchange) -> None:
        """``GET /images/{name}/history``."""
        exchange.reply_value(await self._engine.image_history(exchange.name))

    async def tag(self, exchange: Exchange) -> None:
        """``POST /images/{name}/tag``."""
        query = exchange.query
        await self._engine.image_tag(exchange.name, repo=query.text("repo"), tag=query.text("tag"))
        exchange.reply(201, content_type="")

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /images/{name}``."""
        if not exchange.name.strip():
            raise InvalidParameter("image name cannot be blank")
        query = exchange.query
        deleted = await self._engine.image_delete(
            exchange.name, force=query.flag("force"), noprune=query.flag("noprune")
        )
        exchange.reply_value(deleted)

    async def prune(self, exchange: Exchange) -> None:
        """``POST /images/prune``."""
        exchange.reply_value(await self._engine.image_prune(filters=exchange.query.filters()))
