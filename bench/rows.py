"""All rows, by the section of the report they stand in."""

from collections.abc import Mapping

from bench.fixtures import Fixtures
from bench.image_rows import IMAGES
from bench.registry_rows import REGISTRIES
from bench.scenario import Scenario

SECTIONS: Mapping[str, tuple[Scenario, ...]] = {"images": IMAGES, "registries": REGISTRIES}


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
    }
    return {
        row.key: row.title.format(**values)
        for section in SECTIONS.values()
        for s in section
        for row in s.rows
    }
