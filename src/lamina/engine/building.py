"""`image_build`: the parameters of a build, read, and the build begun."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.build.parts import BuildParts
from lamina.build.request import BuildRequest, RunSettings, parse_tags
from lamina.engine.registry_access import parse_auth, parse_auths
from lamina.image_api import RegistryAuth, RegistryConfig
from lamina.models import ImageBuildOutput
from lamina.oci.platform import Platform
from lamina.progress import Operation, Report
from lamina.streams import ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildParameters:
    """What a caller gave, as it was given."""

    dockerfile: str
    remote: str
    tags: Sequence[str]
    target: str
    platform: str
    arguments: Mapping[str, str | None]
    labels: Mapping[str, str]
    quiet: bool
    nocache: bool
    pull: bool
    remove: bool
    remove_always: bool
    squash: bool
    cache_from: Sequence[str]
    outputs: Sequence[ImageBuildOutput]
    run: RunSettings
    registry_config: RegistryConfig
    registry_auth: RegistryAuth
    secrets: Mapping[str, bytes | os.PathLike[str]]
    ssh: Mapping[str, os.PathLike[str]]

    def checked(self) -> BuildRequest:
        """The request that they mean. Raises InvalidParameter."""
        return BuildRequest(
            dockerfile=self.dockerfile,
            remote=self.remote,
            tags=parse_tags(self.tags),
            target=self.target,
            platform=Platform.parse(self.platform) if self.platform else None,
            arguments=dict(self.arguments),
            labels=dict(self.labels),
            quiet=self.quiet,
            nocache=self.nocache,
            pull=self.pull,
            remove=self.remove,
            remove_always=self.remove_always,
            squash=self.squash,
            cache_from=tuple(self.cache_from),
            outputs=tuple(self.outputs),
            run=self.run,
            credentials=parse_auths(self.registry_config),
            default_credentials=parse_auth(self.registry_auth),
            secrets=dict(self.secrets),
            ssh=dict(self.ssh),
        )


def build_operation(
    parts: BuildParts, parameters: BuildParameters, body: ByteSource | None
) -> Operation[str]:
    """A build that begins when it is iterated or awaited."""
    # Whoever never builds need not wait for a builder to be loaded.
    from lamina.build.builder import build_image  # noqa: PLC0415

    async def work(report: Report) -> str:
        return await build_image(parts, parameters.checked(), body, report=report)

    return Operation(work)
