"""Runs scenarios on both engines in turns, and sums up."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Tools
from bench.scenario import Row, Scenario

NO_STORE = frozenset({"skopeo dir"})
"""Shown, but nobody's measure: what they store is no image yet."""


@dataclass(frozen=True)
class Samples:
    """All values of one row on one engine, in order of measurement."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Result:
    """A row with the samples of dockerd and of Lamina."""

    row: Row
    title: str
    dockerd: Samples
    lamina: Samples
    others: Mapping[str, Samples] = field(default_factory=dict)
    """podman's, skopeo's, by their names."""

    @property
    def ratio(self) -> float:
        """Lamina's median over dockerd's: below 1 is better than dockerd."""
        return self.lamina.median / self.dockerd.median

    @property
    def best(self) -> tuple[str, Samples]:
        """The fastest of those who do the same as Lamina."""
        able = {"dockerd": self.dockerd} | {
            name: samples for name, samples in self.others.items() if name not in NO_STORE
        }
        return min(able.items(), key=lambda item: item[1].median)

    @property
    def goal_base(self) -> float:
        """What a goal that is a ratio is a part of."""
        return (self.best[1] if self.row.beat_all else self.dockerd).median

    @property
    def meets_goal(self) -> bool | None:
        """Whether the goal is met; None where the row has none."""
        if self.row.goal_ratio is not None:
            return self.lamina.median <= self.row.goal_ratio * self.goal_base
        if self.row.goal_bytes is not None:
            # A limit is a limit: the worst run counts, not the median.
            return self.lamina.most <= self.row.goal_bytes
        return None


def measure(
    scenario: Scenario,
    engines: tuple[Engine, Engine],
    fixtures: Fixtures,
    *,
    runs: int,
    titles: Mapping[str, str],
    tools: Tools | None = None,
    warm_up: bool = True,
) -> Sequence[Result]:
    """One round of warming up, then `runs` rounds: dockerd, Lamina, dockerd, Lamina, …

    In each round the `tools` follow, where they are given and the scenario is theirs too.
    """
    others: dict[str, dict[str, list[float]]] = {row.key: {} for row in scenario.rows}
    samples: list[dict[str, list[float]]] = [
        {row.key: [] for row in scenario.rows} for _ in engines
    ]
    for number in range(0 if warm_up else 1, min(runs, scenario.most_runs) + 1):
        for engine, collected in zip(engines, samples, strict=True):
            try:
                values = scenario.run(engine, fixtures)
            except Exception as error:
                error.add_note(f"while {engine.name} was measured")
                raise
            if number > 0:
                for key, value in values.items():
                    collected[key].append(value)
        if scenario.peers_run is not None and tools is not None:
            for name, values in scenario.peers_run(
                tools, engines[0].registries_or_none, fixtures
            ).items():
                if number > 0:
                    for key, value in values.items():
                        others[key].setdefault(name, []).append(value)
    first, second = samples
    return [
        Result(
            row,
            titles[row.key],
            Samples(tuple(first[row.key])),
            Samples(tuple(second[row.key])),
            {name: Samples(tuple(values)) for name, values in others[row.key].items()},
        )
        for row in scenario.rows
    ]
