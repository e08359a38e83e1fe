"""Lamina, a container-image engine: library, Docker-compatible daemon and typed client.

The public names: `Engine` works on a data root in this process, `Client` speaks to any Docker
Engine; both are an `ImageApi` and a `SystemApi`, and `blocking` makes them usable without an event
loop. `Reference` and `Digest` are the values they deal in, `errors` what they raise. All are
imported when they are first used, so that ``import lamina`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lamina import blocking, errors
    from lamina.client import Client
    from lamina.container_api import ContainerApi
    from lamina.engine import Engine
    from lamina.image_api import ImageApi
    from lamina.oci.digest import Digest
    from lamina.oci.reference import Reference
    from lamina.system_api import SystemApi

__version__ = "0.1.0.dev0"

__all__ = [
    "Client",
    "ContainerApi",
    "Digest",
    "Engine",
    "ImageApi",
    "Reference",
    "SystemApi",
    "__version__",
    "blocking",
    "errors",
]

_HOMES = {
    "Client": "lamina.client",
    "ContainerApi": "lamina.container_api",
    "Digest": "lamina.oci.digest",
    "Engine": "lamina.engine",
    "ImageApi": "lamina.image_api",
    "Reference": "lamina.oci.reference",
    "SystemApi": "lamina.system_api",
}


def __getattr__(name: str) -> object:
    if name in {"blocking", "errors"}:
        return import_module(f"lamina.{name}")
    if (home := _HOMES.get(name)) is not None:
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'lamina' has no attribute {name!r}")
