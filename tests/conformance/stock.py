"""A stock of images in which every question of the API has more than one answer.

All have different creation times: dockerd's order of equal ones is that of a Go map.
"""

import json

from tests.real.archives import docker_archive, dumps
from tests.real.images import (
    Image,
    directory,
    file,
    hard_link,
    layer,
    make_image,
    opaque,
    symlink,
    tar_of,
    whiteout,
)


def at(day: int) -> str:
    """A creation time of its own."""
    return f"2024-01-{day:02}T10:20:30.00{day:02}Z"


BASE = layer(
    directory("etc"),
    file("etc/hostname", "base\n"),
    file("etc/removed", "x" * 1000),
    symlink("etc/link", "hostname"),
    hard_link("etc/hard", "etc/hostname"),
)
SECOND = layer(directory("data"), file("data/one", "1" * 5000), whiteout("etc/removed"))
THIRD = layer(directory("data"), opaque("data"), file("data/two", "2" * 300))
EMPTY = layer()

PLAIN = make_image(BASE, SECOND, created=at(1))
"""Two names of one repository."""

LABELLED = make_image(
    BASE,
    THIRD,
    created=at(2),
    run_config={"Env": ["A=1", "B="], "Labels": {"colour": "blue", "empty": "", "x.y/z": "<&>"}},
    history=[
        {"created": at(1), "created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created": at(1), "created_by": "ENV A=1", "empty_layer": True, "comment": "no layer"},
        {"created": at(2), "created_by": 'RUN echo "é" <&>', "author": "Someone"},
        {"created": at(2), "created_by": 'CMD ["x"]', "empty_layer": True, "comment": "last"},
    ],
)
"""Labels, two repositories, steps without a layer."""

DANGLING = make_image(SECOND, created=at(3), run_config={"Labels": {"colour": "red"}})
"""No name."""

_STEPS = [{"created": at(day), "created_by": f"step of day {day}"} for day in (4, 5, 6)]

PARENT = make_image(THIRD, created=at(4), history=_STEPS[:1])
MIDDLE = make_image(THIRD, SECOND, created=at(5), history=_STEPS[:2])
CHILD = make_image(THIRD, SECOND, BASE, created=at(6), history=_STEPS)
"""A family: each has its parent's history and exactly one step more, or it would not be one."""

RICH = make_image(
    EMPTY,
    BASE,
    created=at(7),
    architecture="arm",
    variant="v7",
    run_config={
        "Hostname": "host",
        "Domainname": "domain",
        "User": "1000:1000",
        "AttachStdout": True,
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Env": ["PATH=/bin"],
        "Cmd": ["-c", "true"],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "exit 0"],
            "Interval": 30000000000,
            "Timeout": 1000000000,
            "StartPeriod": 5000000000,
            "Retries": 3,
        },
        "ArgsEscaped": True,
        "Image": "sha256:" + "1" * 64,
        "Volumes": {"/data": {}, "/var/lib": {}},
        "WorkingDir": "/work",
        "Entrypoint": ["/bin/sh"],
        "NetworkDisabled": True,
        "MacAddress": "02:42:ac:11:00:02",
        "OnBuild": ["RUN true", "ADD . /"],
        "Labels": {"colour": "green"},
        "StopSignal": "SIGUSR1",
        "StopTimeout": 7,
        "Shell": ["/bin/ash", "-c"],
    },
    extra={
        "author": "A. N. Author <author@example.com>",
        "container": "c" * 64,
        "container_config": {"Hostname": "builder", "Cmd": ["/bin/sh", "-c", "true"], "Labels": {}},
        "docker_version": "18.06.1-ce",
        "comment": "made by hand",
        "os.version": "10.0.1",
        "os.features": ["win32k"],
        "id": "f" * 64,
    },
)
"""Every member that a config can have."""

BARE = make_image(
    SECOND,
    run_config={},
    extra={"created": "0001-01-01T00:00:00Z", "config": None, "history": None},
)
"""Hardly any member at all."""

HISTORY_COMMENT = make_image(
    BASE,
    BASE,
    created="2024-01-09T10:20:30+02:00",
    history=[
        {"created": at(8), "created_by": "one"},
        {"created_by": "two", "comment": "the last step's"},
    ],
)
"""The same layer twice, a time with an offset, an entry without a time."""

STOCK: tuple[tuple[Image, list[str]], ...] = (
    (PLAIN, ["stock:1", "stock:latest"]),
    (LABELLED, ["stock:labelled", "team/stock:2.0", "localhost:5000/team/stock:x"]),
    (DANGLING, []),
    (CHILD, ["child:1"]),
    (RICH, ["registry.example.com/a/b/c:1.0-rc.1_x"]),
    (BARE, ["bare:1"]),
    (HISTORY_COMMENT, ["twice:1"]),
)

REFERENCES = tuple(name for _, names in STOCK for name in names)


def family_archive(*, names: dict[str, list[str]] | None = None) -> bytes:
    """PARENT ← MIDDLE ← CHILD, linked as `docker save` links what was built here.

    `names` by "parent", "middle", "child"; by default only the last has one.
    """
    named = {"child": ["child:1"], **(names or {})}
    family = {"parent": PARENT, "middle": MIDDLE, "child": CHILD}
    files: dict[str, bytes] = {}
    entries = []
    above = ""
    for role, image in family.items():
        part = docker_archive((image, named.get(role, [])), extra=False)
        [entry] = json.loads(part.pop("manifest.json"))
        files |= part
        entries.append({**entry, **({"Parent": above} if above else {})})
        above = image.id
    files["manifest.json"] = dumps(entries)
    return tar_of(files)


def stock_archives() -> list[bytes]:
    """What makes the stock, to be loaded in this order."""
    plain = [(image, names) for image, names in STOCK if image is not CHILD]
    return [*(tar_of(docker_archive(one)) for one in plain), family_archive()]
