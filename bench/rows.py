"""All rows, by the section of the report they stand in."""

from collections.abc import Mapping

from bench.build_rows import BUILDS
from bench.container_rows import CONTAINERS
from bench.fixtures import Fixtures
from bench.image_rows import IMAGES
from bench.registry_rows import LARGE, REGISTRIES
from bench.scenario import Scenario

SECTIONS: Mapping[str, tuple[Scenario, ...]] = {
    "images": IMAGES,
    "registries": REGISTRIES,
    "large": LARGE,
    "containers": CONTAINERS,
    "builds": BUILDS,
}


def titles(fixtures: Fixtures) -> Mapping[str, str]:
    """Row titles with the sizes in them."""
    sizes = fixtures.sizes
    values = {
        "mb": sizes.image_bytes >> 20,
        "entries": sizes.image_entries,
        "many": sizes.many,
        "dangling": sizes.dangling,
        "parallel": sizes.parallel,
        "large_layers": sizes.large_layers,
        "large_mb": sizes.large_layer_bytes >> 20,
        "commit_mb": sizes.commit_bytes >> 20,
        "metadata": sizes.contexts.metadata,
        "files": sizes.contexts.files,
        "copy_mb": sizes.contexts.large >> 20,
        "build_runs": sizes.contexts.runs,
    }
    return {
        row.key: row.title.format(**values)
        for section in SECTIONS.values()
        for s in section
        for row in s.rows
    }
