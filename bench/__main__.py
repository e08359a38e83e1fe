"""`make bench`: measures every row on dockerd and on Lamina, prints the table and keeps it."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.disk import fresh_disk
from bench.engines import both_engines, two_dockerds
from bench.fixtures import FULL, QUICK, Fixtures, make_fixtures
from bench.image_rows import load_many
from bench.measure import Result, measure
from bench.peers import Registries, registries, tools
from bench.plot import svg
from bench.report import (
    HEADINGS,
    Conditions,
    as_json,
    cells,
    conditions,
    insert_table,
    markdown,
)
from bench.rows import SECTIONS, titles
from bench.scenario import Scenario

HERE = Path(__file__).resolve().parent
BESIDE_THE_TABLE = """
![Medians relative to dockerd](../bench/results/{section}.svg)

Every value of that run is in [`bench/results/{section}.json`](../bench/results/{section}.json).
"""
WIDTHS = (46, 10, 10, 6, 11, 21, 21)


def main() -> int:
    # However it is ended, the engines and their file system go with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each row (5)")
    parser.add_argument("--sections", default="", help=f"only these: {','.join(SECTIONS)}")
    parser.add_argument("--rows", default="", help="only these rows: load,save,tag,…")
    parser.add_argument(
        "--quick", action="store_true", help="small images, to try the bench itself"
    )
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="where fixtures are kept")
    parser.add_argument(
        "--engines",
        type=Path,
        default=Path("/var/tmp"),  # noqa: S108 - a disk, as /tmp need not be; short, as a socket's path
        help="where the file system is made on which both engines keep their data (/var/tmp)",
    )
    parser.add_argument(
        "--noise", action="store_true", help="dockerd against itself: what a ratio of 1 looks like"
    )
    parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
    options = parser.parse_args()

    chosen = choose(options.sections, options.rows)
    if not chosen:
        known = ", ".join(
            row.key for section in SECTIONS.values() for s in section for row in s.rows
        )
        parser.error(f"no such row; there are: {known}")
    options.work.mkdir(parents=True, exist_ok=True)
    print("making the images that are measured (once; kept in bench/.work)", file=sys.stderr)
    fixtures = make_fixtures(options.work, QUICK if options.quick else FULL)
    names = titles(fixtures)

    started = time.monotonic()
    results: list[Result] = []
    engine_pair = two_dockerds if options.noise else both_engines
    with (
        fresh_disk(options.engines, gigabytes=4 if options.quick else 40) as (disk, kind),
        both_registries(disk, fixtures, chosen) as found,
        tools(disk) as others,
        engine_pair(disk) as engines,
    ):
        for engine in engines:
            engine.registries_or_none = found
        about = conditions(
            dockerd=engines[0].version,
            lamina=engines[1].version,
            base=fixtures.base,
            runs=options.runs,
            disk=kind,
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
                warm_up=not options.quick,
            ):
                results.append(result)
                show(cells(result))
    print(f"\n{about.sentence}\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    if not (options.quick or options.noise):
        for section, scenarios in SECTIONS.items():
            keys = {row.key for scenario in scenarios for row in scenario.rows}
            whole = [result for result in results if result.row.key in keys]
            if len(whole) == len(keys):
                keep(section, whole, about)
    missed = [result.title.strip() for result in results if result.meets_goal is False]
    if missed:
        print("goals missed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed and options.check else 0


def choose(sections: str, rows: str) -> list[Scenario]:
    """The scenarios of some sections, or those of some rows; all of them if neither is named."""
    names, keys = set(filter(None, sections.split(","))), set(filter(None, rows.split(",")))
    return [
        scenario
        for section, scenarios in SECTIONS.items()
        for scenario in scenarios
        if (not names and not keys) or section in names or keys & {row.key for row in scenario.rows}
    ]


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


def keep(section: str, results: Sequence[Result], about: Conditions) -> None:
    """Save a section that was measured whole: what it shows is always one and the same run."""
    kept = HERE / "results"
    kept.mkdir(exist_ok=True)
    table = markdown(results, about)
    (kept / f"{section}.json").write_text(as_json(results, about))
    (kept / f"{section}.md").write_text(table)
    (kept / f"{section}.svg").write_text(svg(results))
    beside = BESIDE_THE_TABLE.format(section=section)
    insert_table(HERE.parent / "docs" / "performance.md", section, table + beside)
    print(f"{section} kept in bench/results, table in docs/performance.md", file=sys.stderr)


sys.exit(main())
