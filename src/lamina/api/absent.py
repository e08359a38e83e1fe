"""What this engine has none of, answered so that clients which ask on their way carry on.

Lists are empty; a thing that is named does not exist; swarm is not active. What would have to be
done, and cannot be, is 501 with a message that says so.
"""

from typing import Any

from lamina.api.exchange import Exchange
from lamina.api.router import Handler, Route
from lamina.api.versions import OLDEST, ApiVersion
from lamina.errors import NotFound, NotImplementedHere, Unavailable

_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)

_EMPTY: list[tuple[str, str, Any, ApiVersion]] = [
    ("POST", "/volumes/prune", {"VolumesDeleted": None, "SpaceReclaimed": 0}, ApiVersion(1, 25)),
    ("POST", "/networks/prune", {"NetworksDeleted": None}, ApiVersion(1, 25)),
    ("GET", "/plugins", [], OLDEST),
]

_MISSING = [
    ("PUT", "/volumes/{name}", "get {}: no such volume"),
    ("GET", "/plugins/{name}/json", 'plugin "{}" not found'),
    ("DELETE", "/plugins/{name}", 'plugin "{}" not found'),
]

_SWARM = [
    ("GET", "/swarm"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/leave"),
    ("POST", "/swarm/unlock"),
    ("POST", "/swarm/update"),
    *(("GET", f"/{kind}") for kind in ("configs", "nodes", "secrets", "services", "tasks")),
    *(
        ("GET", f"/{kind}/{{name}}")
        for kind in ("configs", "nodes", "secrets", "services", "tasks")
    ),
    *(("POST", f"/{kind}/create") for kind in ("configs", "secrets", "services")),
]

_ABSENT = [
    ("POST", "/grpc", "BuildKit's protocol"),
    ("POST", "/plugins/create", "plugins"),
    ("GET", "/plugins/privileges", "plugins"),
    ("POST", "/plugins/pull", "plugins"),
    ("POST", "/session", "BuildKit's protocol"),
    ("POST", "/swarm/init", "swarm"),
    ("POST", "/swarm/join", "swarm"),
    ("POST", "/volumes/create", "volumes"),
]


def absent_routes() -> list[Route]:
    """The routes of what this engine does not have."""
    return [
        *(Route(method, path, _empty(value), since) for method, path, value, since in _EMPTY),
        *(Route(method, path, _missing(message)) for method, path, message in _MISSING),
        *(Route(method, path, _no_swarm) for method, path in _SWARM),
        *(Route(method, path, _absent(what)) for method, path, what in _ABSENT),
    ]


def _empty(value: object) -> Handler:
    async def answer(exchange: Exchange) -> None:
        exchange.reply_value(value)

    return answer


def _missing(message: str) -> Handler:
    async def answer(exchange: Exchange) -> None:
        raise NotFound(message.format(exchange.name))

    return answer


def _absent(what: str) -> Handler:
    async def answer(_: Exchange) -> None:
        raise NotImplementedHere(f"lamina does not implement {what} yet")

    return answer


async def _no_swarm(_: Exchange) -> None:
    raise Unavailable(_NO_SWARM)
