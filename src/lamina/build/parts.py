"""What a builder is given by its engine."""

from dataclasses import dataclass, field
from pathlib import Path

from lamina.build.cache import SharedSteps
from lamina.build.cache_mounts import CacheMounts
from lamina.containers.containers import Containers
from lamina.runtime.workshop import Workshop
from lamina.transfer.layer_indexes import LayerIndexes
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildParts:
    """The engine's parts, as builds need them; `directory` is for what a build keeps on disk."""

    resources: Resources
    remotes: Remotes
    directory: Path
    version: str
    workshop: Workshop
    caches: CacheMounts
    indexes: LayerIndexes
    cache_limit: int | None = None
    """Bytes that the contents of cache mounts may take after a build; None: any."""
    containers: Containers
    """Those whose network a build may join, and that its steps become if they are kept."""
    allow_insecure: bool = False
    """Whether ``RUN --security=insecure`` is allowed."""
    shared: SharedSteps = field(default_factory=SharedSteps)
