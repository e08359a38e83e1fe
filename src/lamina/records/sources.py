"""Which repositories are known to have a blob, so that a registry can be asked to mount it."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from lamina.oci.digest import Digest
from lamina.records import schema


def sources_of(connection: Connection, digests: Collection[Digest]) -> dict[Digest, list[str]]:
    """The canonical names of the repositories that have each blob, in order; none left out."""
    rows = schema.blob_sources
    query = (
        select(rows.c.digest, rows.c.name)
        .where(rows.c.digest.in_([str(digest) for digest in digests]))
        .order_by(rows.c.name)
    )
    found: dict[Digest, list[str]] = {digest: [] for digest in digests}
    for digest, name in connection.execute(query):
        found[Digest.parse(digest)].append(name)
    return found
