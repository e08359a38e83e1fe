"""Push and pull, measured: by the engines, and by podman and skopeo beside them."""

import shutil

from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Registries, Tools
from bench.scenario import Row, Scenario, Values
from bench.stopwatch import timed


def push_and_pull(engine: Engine, fixtures: Fixtures) -> Values:
    """An image that was loaded is pushed twice; then the image of the registry is pulled twice."""
    registries, client = engine.registries, engine.client
    name = f"{registries.target.address}/bench/{engine.name.lower()}"
    client.upload("/images/load?quiet=1", fixtures.big)
    client.do("POST", f"/images/bench/big:1/tag?repo={name}&tag=1")
    registries.empty()
    with timed() as push:
        client.transfer(f"/images/{name}/push?tag=1")
    with timed() as push_again:
        client.transfer(f"/images/{name}/push?tag=1")
    client.do("DELETE", "/images/bench/big:1")
    engine.forget_image(f"{name}:1")
    image, tag = registries.pulled.rsplit(":", 1)
    with timed() as pull:
        client.transfer(f"/images/create?fromImage={image}&tag={tag}")
    with timed() as pull_again:
        client.transfer(f"/images/create?fromImage={image}&tag={tag}")
    engine.forget_image(registries.pulled)
    return {
        "push": push.seconds,
        "push-again": push_again.seconds,
        "pull": pull.seconds,
        "pull-again": pull_again.seconds,
    }


def peers_push_and_pull(
    tools: Tools, registries: Registries | None, fixtures: Fixtures
) -> dict[str, Values]:
    """The same by podman and skopeo; the values by the tool."""
    assert registries is not None, "no registry runs"
    return {
        "podman": _podman(tools, registries, fixtures),
        "skopeo": _skopeo(tools, registries, fixtures),
        "skopeo dir": _skopeo_dir(tools, registries),
    }


def _podman(tools: Tools, registries: Registries, fixtures: Fixtures) -> Values:
    name = f"{registries.target.address}/bench/podman:1"
    tools.podman("load", f"--input={fixtures.big}")
    registries.empty()
    pushing = ("push", "--tls-verify=false", "localhost/bench/big:1", name)
    pulling = ("pull", "--tls-verify=false", registries.pulled)
    with timed() as push:
        tools.podman(*pushing)
    with timed() as push_again:
        tools.podman(*pushing)
    tools.forget_images()
    with timed() as pull:
        tools.podman(*pulling)
    with timed() as pull_again:
        tools.podman(*pulling)
    tools.forget_images()
    return {
        "push": push.seconds,
        "push-again": push_again.seconds,
        "pull": pull.seconds,
        "pull-again": pull_again.seconds,
    }


def _skopeo(tools: Tools, registries: Registries, fixtures: Fixtures) -> Values:
    archive = f"docker-archive:{fixtures.big}"
    target = f"docker://{registries.target.address}/bench/skopeo:1"
    source, stored = f"docker://{registries.pulled}", tools.stored(registries.pulled)
    registries.empty()
    with timed() as push:
        tools.skopeo_copy(archive, target)
    with timed() as push_again:
        tools.skopeo_copy(archive, target)
    with timed() as pull:
        tools.skopeo_copy(source, stored)
    with timed() as pull_again:
        tools.skopeo_copy(source, stored)
    tools.forget_images()
    return {
        "push": push.seconds,
        "push-again": push_again.seconds,
        "pull": pull.seconds,
        "pull-again": pull_again.seconds,
    }


def _skopeo_dir(tools: Tools, registries: Registries) -> Values:
    target = tools.directory / "dir"
    with timed() as pull:
        tools.skopeo_copy(f"docker://{registries.pulled}", f"dir:{target}")
    shutil.rmtree(target)
    return {"pull": pull.seconds}


def large_layers(engine: Engine, fixtures: Fixtures) -> Values:
    """Memory while an image of several large layers, all on their way at once, goes and comes."""
    registries, client = engine.registries, engine.client
    name = f"{registries.target.address}/bench/{engine.name.lower()}-large"
    client.upload("/images/load?quiet=1", fixtures.large)
    client.do("POST", f"/images/bench/large:1/tag?repo={name}&tag=1")
    registries.empty()
    with engine.peak_memory() as pushing, timed() as push:
        client.transfer(f"/images/{name}/push?tag=1")
    client.do("DELETE", "/images/bench/large:1")
    engine.forget_image(f"{name}:1")
    with engine.peak_memory() as pulling, timed() as pull:
        client.transfer(f"/images/create?fromImage={name}&tag=1")
    engine.forget_image(f"{name}:1")
    registries.empty()
    return {
        "push-large": push.seconds,
        "push-peak": pushing.bytes,
        "pull-large": pull.seconds,
        "pull-peak": pulling.bytes,
    }


REGISTRIES = (
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
)

LARGE = (
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
)
