"""``/containers/{id}/…``: starting, waiting for and ending a container."""

from lamina.api.exchange import JSON, Exchange, encode_value
from lamina.api.router import Route
from lamina.api.versions import ApiVersion
from lamina.container_api import ContainerApi
from lamina.errors import InvalidParameter

_WAIT_CONDITIONS = frozenset({"not-running", "next-exit", "removed"})

_EMPTY_BODY = 7
"""Bytes of a body that still says nothing, such as ``null`` or ``{}``."""


class ContainerLifeHandlers:
    """Takes containers through their lives."""

    def __init__(self, engine: ContainerApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("POST", "/containers/{name}/start", self.start),
            Route("POST", "/containers/{name}/stop", self.stop),
            Route("POST", "/containers/{name}/restart", self.restart),
            Route("POST", "/containers/{name}/kill", self.kill),
            Route("POST", "/containers/{name}/pause", self.pause),
            Route("POST", "/containers/{name}/unpause", self.unpause),
            Route("POST", "/containers/{name}/resize", self.resize),
            Route("POST", "/containers/{name}/wait", self.wait),
        ]

    async def start(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/start``: 304 if it runs already."""
        size = 0
        async for chunk in exchange.body():
            size += len(chunk)
            if size > _EMPTY_BODY:
                raise InvalidParameter(
                    "starting container with non-empty request body was deprecated since API v1.22"
                    " and removed in v1.24"
                )
        started = await self._engine.container_start(exchange.name)
        exchange.reply_empty(204 if started else 304)

    async def stop(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/stop``: 304 if it does not run."""
        signal, seconds = _ending(exchange)
        stopped = await self._engine.container_stop(exchange.name, signal=signal, t=seconds)
        exchange.reply_empty(204 if stopped else 304)

    async def restart(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/restart``."""
        signal, seconds = _ending(exchange)
        await self._engine.container_restart(exchange.name, signal=signal, t=seconds)
        exchange.reply_empty(204)

    async def kill(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/kill``."""
        signal = exchange.query.text("signal") or "SIGKILL"
        await self._engine.container_kill(exchange.name, signal=signal)
        exchange.reply_empty(204)

    async def pause(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/pause``."""
        await self._engine.container_pause(exchange.name)
        exchange.reply_empty(204)

    async def unpause(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/unpause``."""
        await self._engine.container_unpause(exchange.name)
        exchange.reply_empty(204)

    async def resize(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/resize``."""
        height, width = terminal_size(exchange)
        await self._engine.container_resize(exchange.name, h=height, w=width)
        exchange.reply(200, content_type="")

    async def wait(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/wait``.

        The status is sent as soon as nothing can be missed: clients wait for it before they start
        the container. Those of before API 1.30 expect it with the result, and know no conditions.
        """
        if exchange.version < (1, 30):
            exchange.reply_value(await self._engine.container_wait(exchange.name))
            return
        condition = exchange.query.text("condition") or "not-running"
        if condition not in _WAIT_CONDITIONS:
            raise InvalidParameter(f'invalid condition: "{condition}"')
        result = await self._engine.container_wait(
            exchange.name, condition=condition, begun=lambda: exchange.begin(JSON)
        )
        await exchange.write(encode_value(result))


def terminal_size(exchange: Exchange) -> tuple[int, int]:
    """The height and width that a terminal is to have. Raises InvalidParameter."""
    sizes = [exchange.query.integer(name) for name in ("h", "w")]
    for size in sizes:
        if size is None or not 0 <= size < 1 << 16:
            text = "" if size is None else size
            raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
    height, width = (size or 0 for size in sizes)
    return height, width


def _ending(exchange: Exchange) -> tuple[str, int | None]:
    """By which signal a container is to end, and in how many seconds."""
    query = exchange.query
    since = ApiVersion(1, 42)
    return query.text("signal") if exchange.version >= since else "", query.integer("t")
