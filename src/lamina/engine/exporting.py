"""`image_export`: an image that is here, written as the outputs of a build are."""

from collections.abc import Sequence

from lamina.build.exporting import Exporter
from lamina.build.outputs import check_outputs
from lamina.build.parts import BuildParts
from lamina.build.request import parse_tags
from lamina.engine.image_files import held_image
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput
from lamina.progress import Operation, Report


def export_operation(
    parts: BuildParts, name: str, *, outputs: Sequence[ImageBuildOutput], names: Sequence[str]
) -> Operation[None]:
    """An export that begins when it is iterated or awaited."""

    async def work(report: Report) -> None:
        checked = check_outputs(outputs)
        if checked.names:
            raise InvalidParameter("an image that is here is given names by image_tag")
        named = parse_tags(names)
        async with held_image(parts.resources, name) as (image, layers):
            exporter = Exporter(
                id=image.id,
                layers=layers,
                names=named,
                resources=parts.resources,
                indexes=parts.indexes,
                scratch=parts.directory,
            )
            for export in checked.exports:
                await exporter.write(export, report)

    return Operation(work)
