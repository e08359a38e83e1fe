import os
from typing import Self


class DockerContainer:
    """A registry of the tests: `REGISTRY_AT_5000` has the port that stands for a container's."""

    def __init__(self, image: str, **options: object) -> None:
        self._image = image
        self._options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_container_host_ip(self) -> str:
        return "localhost"

    def get_exposed_port(self, port: int) -> str:
        return os.environ[f"REGISTRY_AT_{port}"]
