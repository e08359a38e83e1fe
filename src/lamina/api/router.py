"""Which handler answers a method and a path, by dockerd's rules.

A path may begin with ``/v<digits>.<digits>``. ``{name}`` is greedy: it may hold ``/``, ``:`` and
``@`` unescaped, so a route is a prefix, a name, and a last segment, and finding it is two
dictionary lookups. A path that no route has, or not for this method or this version, is the same
404 to all of them. dockerd's router would first send a path with empty or dotted segments
elsewhere; for the name of an image that is another name, so here it is taken as it stands.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lamina.api.exchange import Exchange
from lamina.api.versions import OLDEST, ApiVersion, negotiate
from lamina.errors import NotFound


class PageNotFound(NotFound):
    """There is no such path, or not for this method, or not in this version of the API."""

    def __init__(self) -> None:
        super().__init__("page not found")


Handler = Callable[[Exchange], Awaitable[None]]

_NAME = "{name}"
_ANYWHERE = "*"
_VERSION = re.compile(r"[0-9.]{1,32}")


class Route(NamedTuple):
    """A method and a path such as ``/images/{name}/json``, served since an API version.

    The path ``*`` is every one that has no other route.
    """

    method: str
    path: str
    handler: Handler
    since: ApiVersion = OLDEST


class Router:
    """A table of routes."""

    def __init__(self, routes: list[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._greedy: dict[tuple[str, str, str], Route] = {}
        self._anywhere: dict[str, Route] = {}
        for route in routes:
            prefix, is_greedy, suffix = route.path.partition(_NAME)
            if route.path == _ANYWHERE:
                self._anywhere[route.method] = route
            elif is_greedy:
                self._greedy[route.method, prefix, suffix] = route
            else:
                self._exact[route.method, route.path] = route

    def find(self, exchange: Exchange) -> Handler:
        """The handler of a request, whose `name` and `version` are filled in.

        Raises PageNotFound, and UnsupportedVersion for a version that is not served.
        """
        path, asked = exchange.path, ""
        if path[:2] == "/v":
            end = path.find("/", 2)
            if end > 0 and _VERSION.fullmatch(path, 2, end):
                asked, path = path[2:end], path[end:]
                exchange.path = path
        route = (
            self._exact.get((exchange.method, path))
            or self._find_greedy(exchange, path)
            or self._anywhere.get(exchange.method)
        )
        if route is None:
            raise PageNotFound
        if asked:
            version = exchange.version = negotiate(asked)
            if version < route.since:
                raise PageNotFound
        return route.handler

    def _find_greedy(self, exchange: Exchange, path: str) -> Route | None:
        start = path.find("/", 1) + 1
        if not start:
            return None
        prefix = path[:start]
        end = path.rfind("/")
        if end > start:
            route = self._greedy.get((exchange.method, prefix, path[end:]))
            if route is not None:
                exchange.name = path[start:end]
                return route
        exchange.name = path[start:]
        return self._greedy.get((exchange.method, prefix, ""))
