"""``POST /commit``: an image out of a container."""

from lamina.api.container_bodies import read_config
from lamina.api.exchange import Exchange
from lamina.api.router import Route
from lamina.errors import InvalidParameter
from lamina.image_api import ImageApi


class CommitHandlers:
    """Makes images of containers."""

    def __init__(self, engine: ImageApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [Route("POST", "/commit", self.commit)]

    async def commit(self, exchange: Exchange) -> None:
        """``POST /commit``."""
        query = exchange.query
        container = query.text("container")
        if not container:
            raise InvalidParameter('invalid name or ID supplied: ""')
        # Before 1.13 the container was always held up.
        pause = exchange.version < (1, 13) or query.flag("pause", default=True)
        committed = await self._engine.image_commit(
            container,
            repo=query.text("repo"),
            tag=query.text("tag"),
            comment=query.text("comment"),
            author=query.text("author"),
            pause=pause,
            changes=query.texts("changes"),
            container_config=await read_config(exchange),
        )
        exchange.reply_value(committed, 201)
