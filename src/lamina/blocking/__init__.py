"""Engines and clients for code without an event loop.

::

    with blocking.use(Engine.open()) as engine:
        print(engine.image_load(Path("busybox.tar")).result())

`use` opens an `Engine`, a `Client` or any other `ImageApi` on an event loop in a thread of its own,
and gives an `Api`: the same operations, with the same parameters, results and errors, each of which
returns when it is done. `api` has them, `calls` is what waits for the loop's thread.
"""

from lamina.blocking.api import Api, Archive, Operation, use

__all__ = ["Api", "Archive", "Operation", "use"]
