"""What is measured: a scenario is one run of one engine and gives the values of some rows."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.client import UnexpectedAnswerError, encode
from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Registries, Tools
from bench.registry_rows import (
    Values,
    large_layers,
    peers_push_and_pull,
    push_and_pull,
)
from bench.stopwatch import timed


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


Run = Callable[[Engine, Fixtures], Values]
PeersRun = Callable[[Tools, Registries, Fixtures], Mapping[str, Values]]


@dataclass(frozen=True)
class Scenario:
    """Rows measured together, by one `run` a round; some need `load_many` to have happened.

    `needs_registry`: a registry runs. `peers_run` does the same with tools that have no daemon.
    """

    rows: tuple[Row, ...]
    run: Run
    needs_many: bool = False
    most_runs: int = 1_000
    needs_registry: bool = False
    peers_run: PeersRun | None = None


def big_image(engine: Engine, fixtures: Fixtures) -> Values:
    """An image of 500 MB arrives, leaves, and is deleted."""
    with timed() as load:
        engine.client.upload("/images/load?quiet=1", fixtures.big)
    with timed() as save:
        size = engine.client.download("/images/bench/big:1/get")
    if size < fixtures.big.stat().st_size * 0.9:
        raise UnexpectedAnswerError("save gave too little", size)
    with timed() as delete:
        engine.client.do("DELETE", "/images/bench/big:1")
    engine.client.do("POST", "/images/prune")
    return {"load": load.seconds, "save": save.seconds, "delete": delete.seconds}


def import_rootfs(engine: Engine, fixtures: Fixtures) -> Values:
    """A root filesystem of 500 MB becomes an image."""
    with timed() as watch:
        engine.client.upload("/images/create?fromSrc=-&repo=bench/import&tag=1", fixtures.rootfs)
    engine.forget_image("bench/import:1")
    return {"import": watch.seconds}


def load_many(engine: Engine, fixtures: Fixtures) -> None:
    """A thousand small images, for the rows below."""
    engine.client.upload("/images/load?quiet=1", fixtures.many)


def tag_many(engine: Engine, fixtures: Fixtures) -> Values:
    """One image gets a thousand tags."""
    count = fixtures.sizes.many
    requests = [
        encode(
            "POST", f"/images/bench/many-0:1/tag?repo=bench/tag&tag={n}", "Content-Length: 0\r\n"
        )
        for n in range(count)
    ]
    with timed() as watch:
        engine.client.many(requests)
    engine.client.many([encode("DELETE", f"/images/bench/tag:{n}") for n in range(count)])
    return {"tag": watch.seconds}


LISTS = 10


def list_many(engine: Engine, fixtures: Fixtures) -> Values:
    """All thousand images are listed; the time of one list."""
    images = json.loads(engine.client.do("GET", "/images/json"))
    if len(images) != fixtures.sizes.many:
        raise UnexpectedAnswerError("images listed", len(images))
    requests = [encode("GET", "/images/json")] * LISTS
    with timed() as watch:
        engine.client.many(requests)
    return {"list": watch.seconds / LISTS}


def inspect_many(engine: Engine, fixtures: Fixtures) -> Values:
    """Each of the thousand images is inspected."""
    return {"inspect": _each(engine, fixtures, "json")}


def history_many(engine: Engine, fixtures: Fixtures) -> Values:
    """Each of the thousand images is asked for its history."""
    return {"history": _each(engine, fixtures, "history")}


def _each(engine: Engine, fixtures: Fixtures, what: str) -> float:
    names = (f"bench/many-{number}:1" for number in range(fixtures.sizes.many))
    requests = [encode("GET", f"/images/{name}/{what}") for name in names]
    with timed() as watch:
        engine.client.many(requests)
    return watch.seconds


def prune_dangling(engine: Engine, fixtures: Fixtures) -> Values:
    """Images without a name, each with a layer of its own, are pruned."""
    engine.client.upload("/images/load?quiet=1", fixtures.dangling)
    with timed() as watch:
        body = engine.client.do("POST", "/images/prune")
    deleted = json.loads(body)["ImagesDeleted"] or []
    if len(deleted) < fixtures.sizes.dangling:
        raise UnexpectedAnswerError("images pruned", len(deleted))
    return {"prune": watch.seconds}


def parallel_loads(engine: Engine, fixtures: Fixtures) -> Values:
    """Four clients load four different images of 500 MB at once."""
    failures: list[Exception] = []

    def load(path: Path) -> None:
        try:
            engine.client.upload("/images/load?quiet=1", path)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            failures.append(error)

    threads = [threading.Thread(target=load, args=[path]) for path in fixtures.parallel]
    with engine.peak_memory() as peak, timed() as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise ExceptionGroup("loads at once", failures)
    for number in range(len(fixtures.parallel)):
        engine.client.do("DELETE", f"/images/bench/parallel-{number}:1")
    engine.client.do("POST", "/images/prune")
    return {"parallel": watch.seconds, "peak": peak.bytes}


SETTLE = 2.0


def start_daemon(engine: Engine, fixtures: Fixtures) -> Values:
    """The daemon is started on a store of a thousand images until it answers; then left alone."""
    del fixtures
    engine.stop()
    with timed() as watch:
        engine.daemon.start()
    engine.connect()
    engine.client.do("GET", "/images/json")
    # Idle is what it is after a moment in which nobody asks anything.
    time.sleep(SETTLE)
    return {"start": watch.seconds, "idle": engine.daemon.memory()}


SCENARIOS = (
    Scenario(
        (
            Row("load", "load a {mb} MB image of {entries:,} entries", goal_ratio=0.4),
            Row("save", "save it", goal_ratio=0.25),
            Row("delete", "delete it"),
        ),
        big_image,
    ),
    Scenario((Row("import", "import a {mb} MB root filesystem", goal_ratio=0.4),), import_rootfs),
    Scenario(
        (
            Row("parallel", "load {parallel} different {mb} MB images at once"),
            Row("peak", "  peak memory meanwhile", "B", goal_bytes=200_000_000),
        ),
        parallel_loads,
        most_runs=3,
    ),
    Scenario(
        (
            Row("push", "push it to a registry", goal_ratio=1 / 3),
            Row("push-again", "push it again", goal_ratio=0.5, beat_all=True),
            Row("pull", "pull it, gzip-compressed", goal_ratio=0.25, beat_all=True),
            Row("pull-again", "pull it again", goal_ratio=0.5, beat_all=True),
        ),
        push_and_pull,
        needs_registry=True,
        peers_run=peers_push_and_pull,
    ),
    Scenario(
        (
            Row("push-large", "push {large_layers} layers of {large_mb:,} MB at once"),
            Row("push-peak", "  peak memory meanwhile", "B", goal_bytes=200_000_000),
            Row("pull-large", "pull them"),
            Row("pull-peak", "  peak memory meanwhile", "B", goal_bytes=200_000_000),
        ),
        large_layers,
        most_runs=1,
        needs_registry=True,
    ),
    Scenario((Row("tag", "tag × {many:,}", goal_ratio=0.5),), tag_many, needs_many=True),
    Scenario((Row("list", "list {many:,} images", goal_ratio=0.5),), list_many, needs_many=True),
    Scenario(
        (Row("inspect", "inspect × {many:,}", goal_ratio=0.5),), inspect_many, needs_many=True
    ),
    Scenario(
        (Row("history", "history × {many:,}", goal_ratio=0.5),), history_many, needs_many=True
    ),
    Scenario((Row("prune", "prune {dangling} dangling images"),), prune_dangling),
    Scenario(
        (
            Row("start", "start on {many:,} images, to the first answer"),
            Row("idle", "idle memory", "B"),
        ),
        start_daemon,
        needs_many=True,
    ),
)


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
    return {row.key: row.title.format(**values) for s in SCENARIOS for row in s.rows}
