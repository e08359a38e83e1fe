"""Images that come, go, are named and asked for."""

import json
import threading
import time
from pathlib import Path

from bench.client import UnexpectedAnswerError, encode
from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.scenario import Row, Scenario, Values
from bench.stopwatch import timed


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


IMAGES = (
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
