"""Runs scenarios on both engines in turns, and sums up."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.rows import Row, Scenario


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

    @property
    def ratio(self) -> float:
        """Lamina's median over dockerd's: below 1 is better than dockerd."""
        return self.lamina.median / self.dockerd.median

    @property
    def meets_goal(self) -> bool | None:
        """Whether the goal is met; None where the row has none."""
        if self.row.goal_ratio is not None:
            return self.ratio <= self.row.goal_ratio
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
) -> Sequence[Result]:
    """One round of warming up, then `runs` rounds: dockerd, Lamina, dockerd, Lamina, …"""
    samples: list[dict[str, list[float]]] = [
        {row.key: [] for row in scenario.rows} for _ in engines
    ]
    for number in range(min(runs, scenario.most_runs) + 1):
        for engine, collected in zip(engines, samples, strict=True):
            values = scenario.run(engine, fixtures)
            if number > 0:
                for key, value in values.items():
                    collected[key].append(value)
    first, second = samples
    return [
        Result(
            row, titles[row.key], Samples(tuple(first[row.key])), Samples(tuple(second[row.key]))
        )
        for row in scenario.rows
    ]
