"""Engines and clients for code without an event loop.

::

    with blocking.use(Engine.open()) as engine:
        print(engine.image_load(Path("busybox.tar")).result())

`use` opens an `Engine`, a `Client` or any other `ImageApi` on an event loop in a thread of its own,
and gives an `Api`: the same operations, with the same parameters, results and errors, each of which
returns when it is done. Of an engine it gives an `EngineApi`, which has containers too and looks
into images. `making` is how operations become methods, `calls` what waits for the loop's thread.
"""

from lamina.blocking.api import Api
from lamina.blocking.engine_api import Attachment, ContainerArchive, EngineApi, ImageTree, Output
from lamina.blocking.making import Archive, Operation
from lamina.blocking.using import use

__all__ = [
    "Api",
    "Archive",
    "Attachment",
    "ContainerArchive",
    "EngineApi",
    "ImageTree",
    "Operation",
    "Output",
    "use",
]
