"""Containers: the first one of an image that has just come, one more, and a commit."""

from collections.abc import Sequence

from bench.client import BenchClient, UnexpectedAnswerError
from bench.engines import Engine
from bench.fixtures import Fixtures
from bench.peers import Registries, Tools
from bench.scenario import Row, Scenario, Values
from bench.stopwatch import timed

NO_NETWORK = {"NetworkMode": "none"}


def containers(engine: Engine, fixtures: Fixtures) -> Values:
    """An image of 500 MB arrives and runs a program; so does a small one; a container is kept."""
    client, sizes = engine.client, fixtures.sizes
    with timed() as first:
        client.upload("/images/load?quiet=1", fixtures.big)
        run(client, "bench/big:1", ["true"])
    engine.forget_image("bench/big:1")
    client.upload("/images/load?quiet=1", fixtures.small)
    run(client, "bench/base:1", ["true"])
    with timed() as again:
        for _ in range(sizes.runs):
            run(client, "bench/base:1", ["true"])
    kept = create(client, "bench/base:1", _change(sizes.commit_bytes))
    client.do("POST", f"/containers/{kept}/start")
    _check(client.do_json("POST", f"/containers/{kept}/wait"))
    with timed() as commit:
        client.do("POST", f"/commit?container={kept}&repo=bench/committed&tag=1")
    client.do("DELETE", f"/containers/{kept}?force=1")
    for name in ("bench/committed:1", "bench/base:1"):
        engine.forget_image(name)
    return {
        "first-run": first.seconds,
        "run-rm": again.seconds / sizes.runs,
        "commit": commit.seconds,
    }


def create(client: BenchClient, image: str, command: Sequence[str], *, remove: bool = False) -> str:
    """A container's ID; with `remove` it goes when it has ended."""
    settings = {
        "Image": image,
        "Cmd": list(command),
        "HostConfig": {**NO_NETWORK, "AutoRemove": remove},
    }
    return str(client.do_json("POST", "/containers/create", settings)["Id"])


def run(client: BenchClient, image: str, command: Sequence[str]) -> None:
    """What ``docker run --rm`` asks for; returns when the container is gone."""
    container = create(client, image, command, remove=True)
    with client.waiting(f"/containers/{container}/wait?condition=removed") as ended:
        client.do("POST", f"/containers/{container}/start")
        _check(ended.json())


def _check(ended: dict[str, object]) -> None:
    if ended["StatusCode"] != 0:
        raise UnexpectedAnswerError("the container failed", ended)


def _change(size: int) -> list[str]:
    return ["dd", "if=/dev/urandom", "of=/change", "bs=1048576", f"count={size >> 20}"]


def podmans_containers(tools: Tools, _: Registries | None, fixtures: Fixtures) -> dict[str, Values]:
    """The same by podman."""
    sizes = fixtures.sizes
    with timed() as first:
        tools.podman("load", f"--input={fixtures.big}")
        tools.podman_run("--rm", "localhost/bench/big:1", "true")
    tools.podman("load", f"--input={fixtures.small}")
    tools.podman_run("--rm", "localhost/bench/base:1", "true")
    with timed() as again:
        for _number in range(sizes.runs):
            tools.podman_run("--rm", "localhost/bench/base:1", "true")
    change = _change(sizes.commit_bytes)
    tools.podman_run("--name=kept", "localhost/bench/base:1", *change)
    with timed() as commit:
        tools.podman("commit", "--quiet", "kept", "bench/committed:1")
    tools.podman("rm", "--force", "kept")
    tools.forget_images()
    values = {
        "first-run": first.seconds,
        "run-rm": again.seconds / sizes.runs,
        "commit": commit.seconds,
    }
    return {"podman": values}


CONTAINERS = (
    Scenario(
        (
            Row(
                "first-run", "load a {mb} MB image and run true in it", goal_ratio=1, beat_all=True
            ),
            Row("run-rm", "run --rm true", goal_ratio=1, beat_all=True),
            Row("commit", "commit a change of {commit_mb} MB", goal_ratio=1, beat_all=True),
        ),
        containers,
        peers_run=podmans_containers,
    ),
)
