"""What goes to registries: push, search, ``/auth`` and ``/distribution``."""

import logging

import msgspec

from lamina.api.exchange import Exchange
from lamina.api.json_body import decode_json, fields_of, read_fields
from lamina.api.progress_stream import send_progress
from lamina.api.query import Query
from lamina.api.registry_headers import meta_headers, registry_auth
from lamina.api.router import Route
from lamina.api.versions import ApiVersion
from lamina.errors import InvalidParameter
from lamina.image_api import ImageApi
from lamina.system_api import SystemApi

_DEFAULT_LIMIT = 25
_MAX_AUTH = 1 << 20


class _Auth(msgspec.Struct):
    """The body of ``POST /auth``; unknown members are of no interest."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def given(self) -> dict[str, str]:
        """The members that say something."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


class RegistryHandlers:
    """Passes requests on to registries."""

    def __init__(self, images: ImageApi, system: SystemApi, *, log: logging.Logger) -> None:
        self._images = images
        self._system = system
        self._log = log

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("POST", "/images/{name}/push", self.push),
            Route("GET", "/images/search", self.search),
            Route("POST", "/auth", self.auth),
            Route("GET", "/distribution/{name}/json", self.distribution, ApiVersion(1, 30)),
        ]

    async def push(self, exchange: Exchange) -> None:
        """``POST /images/{name}/push``; whatever fails after its first message is in the stream."""
        operation = self._images.image_push(
            exchange.name,
            tag=exchange.query.text("tag"),
            x_registry_auth=registry_auth(exchange) or await _auth_of_old(exchange),
            x_meta=meta_headers(exchange),
        )
        await send_progress(exchange, operation, log=self._log)

    async def search(self, exchange: Exchange) -> None:
        """``GET /images/search``."""
        query = exchange.query
        found = await self._images.image_search(
            query.text("term"),
            limit=_limit(query),
            filters=query.filters(),
            x_registry_auth=registry_auth(exchange),
            x_meta=meta_headers(exchange),
        )
        exchange.reply_value(found)

    async def auth(self, exchange: Exchange) -> None:
        """``POST /auth``."""
        auth = await read_fields(exchange, _Auth) or _Auth()
        exchange.reply_value(await self._system.system_auth(auth.given()))

    async def distribution(self, exchange: Exchange) -> None:
        """``GET /distribution/{name}/json``."""
        found = await self._system.distribution_inspect(
            exchange.name, x_registry_auth=registry_auth(exchange)
        )
        exchange.reply_value(found)


async def _auth_of_old(exchange: Exchange) -> dict[str, str]:
    """Credentials as clients from before the header send them: as the body. Senseless: none."""
    body = bytearray()
    async for chunk in exchange.body():
        body += chunk
        if len(body) > _MAX_AUTH:
            return {}
    try:
        return fields_of(decode_json(bytes(body)), _Auth).given()
    except (msgspec.DecodeError, RecursionError, InvalidParameter):
        return {}


def _limit(query: Query) -> int:
    try:
        limit = query.integer("limit")
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid limit specified: {error}") from error
    return _DEFAULT_LIMIT if limit is None else limit
