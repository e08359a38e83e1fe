"""The intermediate containers that a build keeps.

As with dockerd's classic builder: a command that fails leaves its container to be looked into,
unless ``forcerm`` is asked for, and with ``rm=0`` every step that is made in one leaves it.
"""

import contextlib
from collections.abc import Iterator

from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.request import BuildRequest
from lamina.build.settings import host_config
from lamina.containers.containers import Containers
from lamina.containers.creating import Beginning
from lamina.containers.intermediate import keep_intermediate
from lamina.errors import ImageNotFound, LaminaError
from lamina.oci.config import ContainerConfig


class StepContainers:
    """Keeps the containers of one build's steps."""

    def __init__(self, containers: Containers, ledger: Ledger, request: BuildRequest) -> None:
        self._containers = containers
        self._ledger = ledger
        self._request = request

    @property
    def stay(self) -> bool:
        """Whether all of them stay."""
        return not (self._request.remove or self._request.remove_always)

    @property
    def stay_if_failed(self) -> bool:
        """Whether that of a command that failed stays."""
        return not self._request.remove_always

    async def beginning(
        self,
        container_id: str,
        base: BuiltImage | None,
        config: ContainerConfig,
        *,
        created: int,
        privileged: bool = False,
        network: str = "",
    ) -> Beginning:
        """The container of a step upon `base`, whose image gets into the records for it.

        `created` is in unix nanoseconds, by the clock, not the build's own time. Raises
        ImageNotFound if the image was deleted meanwhile.
        """
        image = None
        if base is not None:
            await self._ledger.record([base])
            image = self._containers.records.catalogue.images.get(base.id)
            if image is None:
                raise ImageNotFound(str(base.id))
        return Beginning(
            id=container_id,
            image=image,
            config=config,
            host=host_config(self._request.run, privileged=privileged, network=network),
            created=created,
        )

    async def keep(self, beginning: Beginning) -> None:
        """Keep a container; see `keep_intermediate`."""
        await keep_intermediate(self._containers, beginning)

    @contextlib.contextmanager
    def second_to(self, problem: LaminaError | None) -> Iterator[None]:
        """Of what fails after a problem, only write down that it did: the problem is to be told."""
        try:
            yield
        except (LaminaError, OSError):
            if problem is None:
                raise
            self._containers.parts.logger.exception(
                "the container of a step that failed is not kept"
            )
