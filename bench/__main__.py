"""`make bench`: measures every row on dockerd and on Lamina, prints the table and keeps it."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.engines import both_engines, two_dockerds
from bench.fixtures import FULL, QUICK, Fixtures, make_fixtures
from bench.measure import Result, measure
from bench.peers import Registries, registries, tools
from bench.plot import svg
from bench.report import HEADINGS, as_json, cells, conditions, insert_table, markdown
from bench.rows import SCENARIOS, Scenario, load_many, titles

HERE = Path(__file__).resolve().parent
BESIDE_THE_TABLE = """
![Medians relative to dockerd](../bench/results/plot.svg)

Every value of that run is in [`bench/results/results.json`](../bench/results/results.json).
"""
WIDTHS = (46, 10, 10, 6, 11, 21, 21)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each row (5)")
    parser.add_argument("--rows", default="", help="only these rows: load,save,tag,…")
    parser.add_argument(
        "--quick", action="store_true", help="small images, to try the bench itself"
    )
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="where fixtures are kept")
    parser.add_argument(
        "--engines",
        type=Path,
        default=Path("/var/tmp"),  # noqa: S108 - a disk, as /tmp need not be; short, as a socket's path
        help="where both engines keep their data (/var/tmp)",
    )
    parser.add_argument(
        "--noise", action="store_true", help="dockerd against itself: what a ratio of 1 looks like"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep a run of some rows only, in place of a complete one",
    )
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    options = parser.parse_args()

    wanted = set(filter(None, options.rows.split(",")))
    chosen = [s for s in SCENARIOS if not wanted or wanted & {row.key for row in s.rows}]
    if not chosen:
        known = ", ".join(row.key for s in SCENARIOS for row in s.rows)
        parser.error(f"no such row; there are: {known}")
    options.work.mkdir(parents=True, exist_ok=True)
    print("making the images that are measured (once; kept in bench/.work)", file=sys.stderr)
    fixtures = make_fixtures(options.work, QUICK if options.quick else FULL)
    names = titles(fixtures)

    started = time.monotonic()
    results: list[Result] = []
    engine_pair = two_dockerds if options.noise else both_engines
    with (
        both_registries(options.engines, fixtures, chosen) as found,
        tools(options.engines) as others,
        engine_pair(options.engines) as engines,
    ):
        for engine in engines:
            engine.registries_or_none = found
        about = conditions(
            dockerd=engines[0].version,
            lamina=engines[1].version,
            base=fixtures.base,
            runs=options.runs,
        )
        show(HEADINGS)
        for number, scenario in enumerate(chosen):
            if scenario.needs_many and not any(s.needs_many for s in chosen[:number]):
                for engine in engines:
                    load_many(engine, fixtures)
            for result in measure(
                scenario,
                engines,
                fixtures,
                runs=options.runs,
                titles=names,
                tools=None if options.noise else others,
            ):
                results.append(result)
                show(cells(result))
    print(f"\n{about.sentence}\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    if (options.keep or not wanted) and not (options.quick or options.noise):
        keep(markdown(results, about), as_json(results, about), svg(results))
    missed = [result.title.strip() for result in results if result.meets_goal is False]
    if missed:
        print("goals missed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed and options.check else 0


@contextmanager
def both_registries(
    parent: Path, fixtures: Fixtures, chosen: Sequence[Scenario]
) -> Iterator[Registries | None]:
    """The registries, if a row needs them."""
    if not any(scenario.needs_registry for scenario in chosen):
        yield None
        return
    with registries(parent, fixtures.big) as found:
        yield found


def show(columns: Sequence[str]) -> None:
    """Print one line of the table as soon as it is known."""
    first, *others = zip(columns, WIDTHS, strict=True)
    aligned = [text.rjust(width) for text, width in others]
    print(first[0].ljust(first[1]), *aligned, flush=True)


def keep(table: str, data: str, plot: str) -> None:
    """Save a whole run: what docs/performance.md shows is always one and the same run."""
    kept = HERE / "results"
    kept.mkdir(exist_ok=True)
    (kept / "results.json").write_text(data)
    (kept / "table.md").write_text(table)
    (kept / "plot.svg").write_text(plot)
    insert_table(HERE.parent / "docs" / "performance.md", table + BESIDE_THE_TABLE)
    print("kept in bench/results, table in docs/performance.md", file=sys.stderr)


sys.exit(main())
