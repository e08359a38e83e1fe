"""The tables, and the migrations that lead to them.

Digests are stored as text (``sha256:…``), times as integers of unix nanoseconds, sizes in bytes.
"""

from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    update,
)

from lamina.errors import Unavailable

metadata = MetaData()

state = Table(
    "state",
    metadata,
    Column("schema_version", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("engine_id", String, nullable=False),
)
"""One row. `generation` counts the changes: who remembers it can tell whether there was one."""

images = Table(
    "images",
    metadata,
    Column("id", String, primary_key=True),
    Column("parent", String),
    Column("created", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("os", String, nullable=False),
    Column("architecture", String, nullable=False),
    Column("variant", String, nullable=False),
    Column("labels", JSON),
    Column("last_tagged", BigInteger),
    Column("locally_built", Boolean, nullable=False),
)
"""`id` is the digest of the image's configuration; `created` is the time which that states."""

layers = Table(
    "layers",
    metadata,
    Column("diff_id", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("tar_size", BigInteger, nullable=False),
)
"""`size` is the sum of file sizes that dockerd reports, `tar_size` the length of the tar."""

layer_blobs = Table(
    "layer_blobs",
    metadata,
    Column("digest", String, primary_key=True),
    Column("diff_id", String, ForeignKey("layers.diff_id"), nullable=False, index=True),
    Column("media_type", String, nullable=False),
    Column("size", BigInteger, nullable=False),
)
"""The blobs that hold a layer: as it was received, and compressed by us, if ever."""

image_layers = Table(
    "image_layers",
    metadata,
    Column("image_id", String, ForeignKey("images.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("diff_id", String, ForeignKey("layers.diff_id"), nullable=False, index=True),
)

manifests = Table(
    "manifests",
    metadata,
    Column("digest", String, primary_key=True),
    Column("media_type", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("image_id", String, index=True),
)
"""Manifests and indexes that are kept as received; `image_id` is None for an index."""

manifest_children = Table(
    "manifest_children",
    metadata,
    Column("parent", String, ForeignKey("manifests.digest"), primary_key=True),
    Column("child", String, primary_key=True),
)
"""What a manifest or index refers to and we hold: manifests, configurations, layer blobs."""

tags = Table(
    "tags",
    metadata,
    Column("name", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), nullable=False, index=True),
    Column("target", String),
)
"""`target` is the manifest or index the tag came with, so that it can be given on unchanged."""

repo_digests = Table(
    "repo_digests",
    metadata,
    Column("name", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), nullable=False, index=True),
)
"""Names by digest (``busybox@sha256:…``), known after a pull or push."""

leases = Table(
    "leases",
    metadata,
    Column("id", String, primary_key=True),
    Column("process", String, nullable=False),
)

leased_blobs = Table(
    "leased_blobs",
    metadata,
    Column("lease_id", String, ForeignKey("leases.id"), primary_key=True),
    Column("digest", String, primary_key=True),
)

events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False),
    Column("type", String, nullable=False),
    Column("action", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("attributes", JSON, nullable=False),
    Index("events_by_time", "time"),
)

kept_layers = Table(
    "kept_layers",
    metadata,
    Column("diff_id", String, ForeignKey("layers.diff_id"), primary_key=True),
    Column("time", BigInteger, nullable=False),
)
"""Layers of pulls that have not ended: they stay though no image has them, for the next attempt."""

blob_sources = Table(
    "blob_sources",
    metadata,
    Column("digest", String, primary_key=True),
    Column("name", String, primary_key=True),
)
"""Repositories (canonical names) known to have a layer's blob: a push may mount it from there."""

containers = Table(
    "containers",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("image_id", String, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("status", String, nullable=False),
    Column("process", String, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("diff_ids", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("settings", String, nullable=False),
    Column("state", String, nullable=False),
)
"""Containers; the image may be gone, but the layers stay."""

Migration = Callable[[Connection], None]


def _remember_registries(connection: Connection) -> None:
    metadata.create_all(connection, tables=[kept_layers, blob_sources])


def _remember_containers(connection: Connection) -> None:
    metadata.create_all(connection, tables=[containers])


# The first makes all tables there are by now; the later ones leave alone what it has made.
MIGRATIONS: tuple[Migration, ...] = (
    metadata.create_all,
    _remember_registries,
    _remember_containers,
)
"""Step N leads from schema version N to N + 1."""


def migrate(connection: Connection) -> None:
    """Bring the database to this program's schema, inside the caller's write transaction.

    Raises Unavailable if a newer Lamina has written it.
    """
    version = 0
    if inspect(connection).has_table(state.name):
        version = connection.execute(select(state.c.schema_version)).scalar_one()
    if version > len(MIGRATIONS):
        raise Unavailable(
            "the data root was written by a newer lamina"
            f" (schema {version}, this one knows {len(MIGRATIONS)})"
        )
    for step in MIGRATIONS[version:]:
        step(connection)
    if version == 0:
        connection.execute(
            insert(state).values(
                schema_version=len(MIGRATIONS), generation=0, engine_id=str(uuid4())
            )
        )
    elif version < len(MIGRATIONS):
        connection.execute(update(state).values(schema_version=len(MIGRATIONS)))
