"""The layers of an image, named by their uncompressed content (OCI image-spec, config.md)."""

from collections.abc import Iterable

import msgspec

from lamina.oci.digest import Digest
from lamina.oci.document import always


class RootFS(msgspec.Struct, frozen=True, omit_defaults=True):
    """The layers by diff ID, base layer first; `type` is ``layers`` but on old Windows."""

    type: str = always(lambda: "layers")
    diff_ids: tuple[Digest, ...] = ()


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """For each layer the name of it on top of everything below it, base layer first."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        below = chain[-1] if chain else None
        chain.append(Digest.of(f"{below} {diff_id}".encode()) if below else diff_id)
    return tuple(chain)
