"""Builds: by the engines' classic builders over HTTP, and by podman's, which is buildah."""

from bench.client import BenchClient
from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Registries, Tools
from bench.scenario import Row, Scenario, Values
from bench.stopwatch import timed

BUILT = "bench/built:1"
COLD = {
    "metadata": "build-metadata",
    "files": "build-files",
    "large": "build-large",
    "runs": "build-runs",
    "stages": "build-stages",
    "project": "build-project",
}
"""The rows of builds without a cache, by their context."""


def builds(engine: Engine, fixtures: Fixtures) -> Values:
    """Each context is built without a cache, the one of many files again with it."""
    client, values = engine.client, {}
    for base in fixtures.bases:
        client.upload("/images/load?quiet=1", base)
    for name, row in COLD.items():
        values[row] = _build(client, fixtures, name, "&nocache=1")
        if name == "files":
            values["build-cached"] = _build(client, fixtures, name)
        engine.forget_image(BUILT)
        client.do("POST", "/build/prune?all=1")
    client.do("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D")
    return values


def _build(client: BenchClient, fixtures: Fixtures, name: str, more: str = "") -> float:
    with timed() as watch:
        client.upload(
            f"/build?t={BUILT}&networkmode=none&forcerm=1{more}", fixtures.contexts[name].tar
        )
    return watch.seconds


def podmans_builds(tools: Tools, _: Registries | None, fixtures: Fixtures) -> dict[str, Values]:
    """The same by podman."""
    values: Values = {}
    for base in fixtures.bases:
        tools.podman("load", f"--input={base}")
    for name, row in COLD.items():
        directory = str(fixtures.contexts[name].directory)
        with timed() as watch:
            tools.podman_build(f"--tag={BUILT}", "--no-cache", directory)
        values[row] = watch.seconds
        if name == "files":
            with timed() as watch:
                tools.podman_build(f"--tag={BUILT}", directory)
            values["build-cached"] = watch.seconds
    tools.forget_images()
    return {"podman": values}


BUILDS = (
    Scenario(
        (
            Row("build-metadata", "build {metadata} metadata steps", goal_ratio=0.2, beat_all=True),
            Row("build-files", "COPY {files:,} files", goal_ratio=0.25, beat_all=True),
            Row("build-cached", "the same again, cached", goal_ratio=0.2, beat_all=True),
            Row("build-large", "COPY {copy_mb} MB", goal_ratio=0.5, beat_all=True),
            Row("build-runs", "build {build_runs} RUN steps", goal_ratio=0.5, beat_all=True),
            Row(
                "build-stages", "build four stages with RUN sleep", goal_ratio=1 / 3, beat_all=True
            ),
            Row("build-project", "build a Python project of two stages"),
        ),
        builds,
        peers_run=podmans_builds,
    ),
)
