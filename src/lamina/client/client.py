"""`Client`: one engine, its connections and its operations."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Self

from lamina import __version__
from lamina.client.address import Address
from lamina.client.connection import Connection, parse_version
from lamina.client.images import ImageCalls
from lamina.client.system import SystemCalls
from lamina.client.tls import TLSFiles


class Client(ImageCalls, SystemCalls):
    """The operations of `ImageApi` and `SystemApi` on a Docker Engine: dockerd, Lamina or another.

    Made by `connect`. Results have the shapes of `lamina.models` whatever API version is spoken;
    errors are the classes of `lamina.errors` with the engine's own message. Unavailable also says
    that the engine cannot be reached, or went away. Operations may run side by side.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, host: str, *, tls: TLSFiles | None = None, api_version: str | None = None
    ) -> AsyncIterator[Self]:
        """A client of the engine at `host`, while the context lasts.

        `host` is ``unix:///path``, ``tcp://host[:port]``, ``http://…`` or ``https://…``; `tls`
        makes ``tcp`` mean HTTPS. The newest API version that both know is spoken, or `api_version`
        where it is given. Raises InvalidParameter (host, version, `tls`), NotImplementedHere (an
        engine older than API 1.24), Unavailable.
        """
        address = Address.parse(host, tls=tls is not None)
        context: ssl.SSLContext | None = None
        if tls is not None and address.socket is None:
            context = await asyncio.to_thread(tls.context)
        version = None if api_version is None else parse_version(api_version.removeprefix("v"))
        connection = Connection(address, tls=context, user_agent=f"lamina/{__version__}")
        try:
            if version is None:
                await connection.negotiate()
            else:
                connection.version = version
            yield cls(connection)
        finally:
            await connection.close()

    @property
    def api_version(self) -> str:
        """The version of the API that is spoken with this engine."""
        return str(self._connection.version)

    @property
    def host(self) -> str:
        """The engine's address as it was given."""
        return self._connection.address.text
