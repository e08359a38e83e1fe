"""`Client`: the operations of the Image API over HTTP, on any Docker Engine.

`address` and `tls` say where the engine is and how to trust it, `connection` makes requests,
`parameters` writes values for them, `replies` turns JSON of any API version into `lamina.models`,
`images` and `system` hold the operations.
"""

from lamina.client.client import Client
from lamina.client.tls import TLSFiles

__all__ = ["Client", "TLSFiles"]
