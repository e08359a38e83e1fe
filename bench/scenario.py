"""What is measured: a scenario is one run of one engine and gives the values of some rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Registries, Tools


@dataclass(frozen=True)
class Row:
    """A line of the table. `unit` is "s" or "B"; goals are ratios to dockerd, or absolute bytes.

    `beat_all`: the goal is a ratio to the best of dockerd, podman and skopeo.
    """

    key: str
    title: str
    unit: str = "s"
    goal_ratio: float | None = None
    goal_bytes: int | None = None
    beat_all: bool = False


Values = dict[str, float]
Run = Callable[[Engine, Fixtures], Values]
PeersRun = Callable[[Tools, Registries | None, Fixtures], Mapping[str, Values]]


@dataclass(frozen=True)
class Scenario:
    """Rows measured together, by one `run` a round; some need `load_many` to have happened.

    `needs_registry`: a registry runs. `peers_run` does the same with tools that have no daemon, and
    gets the registries where the scenario needs them.
    """

    rows: tuple[Row, ...]
    run: Run
    needs_many: bool = False
    most_runs: int = 1_000
    needs_registry: bool = False
    peers_run: PeersRun | None = None
