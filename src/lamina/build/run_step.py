"""RUN as a step: what it runs, with which mounts, and how the cache knows it again."""

from msgspec.structs import replace

from lamina.build.commands import RunArguments, flag_words, shell_line
from lamina.build.ledger import BuiltImage
from lamina.build.mounted_trees import FileTree
from lamina.build.mounts import RunMounts
from lamina.build.running import Command
from lamina.build.settings import check_settings
from lamina.build.state import StageState
from lamina.dockerfile import instructions as ins
from lamina.dockerfile.mounts import Mount, MountType
from lamina.errors import InvalidParameter, LaminaError


async def run(state: StageState, instruction: ins.Run) -> None:
    """RUN. Raises CommandFailed, and what its mounts raise."""
    if instruction.devices:
        raise InvalidParameter("the --device option is not supported")
    mounts = instruction.mounts(state.expand_at(instruction))
    trees: dict[str, FileTree] = {}
    digests: dict[Mount, str] = {}
    for mount in mounts:
        if mount.type is MountType.BIND or mount.source_from:
            files = await state.tools.files(mount.source_from)
            trees[mount.source_from] = FileTree(
                files.name, files.layers, is_passing=files.is_context
            )
            digests[mount] = await state.tools.copier.digest_of(files, mount.source or "/")
    config = state.editor.config
    line = shell_line(instruction.command, state.editor.shell)
    arguments = RunArguments.of(state.arguments, config)
    flags = flag_words(instruction, mounts, digests)
    step = replace(config, cmd=(*flags, *arguments.recorded(line.words)), entrypoint=None)
    if await state.take_from_cache(step):
        return
    # Without a command of its own it is the image's that runs, as in any container.
    argv = line.argv or config.cmd
    if not argv:
        raise InvalidParameter("No command specified")
    created, container = state.moment(step)
    section, request = state.tools.section, state.tools.request
    check_settings(request.run)
    await section.text(f" ---> Running in {container[:12]}\n")
    command = Command(
        argv=argv,
        env=(*(config.env or ()), *arguments.environment),
        config=config,
        container=container,
        mounts=RunMounts(
            mounts=mounts,
            trees=trees,
            working_dir=config.working_dir or "/",
            namespace=request.arguments.get("BUILDKIT_CACHE_MOUNT_NS") or "",
            script=line.script,
        ),
        network=instruction.network,
        security=instruction.security,
        step=state.step_id,
    )
    base = state.image

    async def work() -> BuiltImage:
        layer = await state.tools.runner.run(
            command, base, section=section, report=state.tools.report
        )
        image = state.derived(step, layer, created, container=container)
        await state.tools.ledger.record([image])
        return image

    try:
        await state.make(step, work)
    except LaminaError:
        if request.remove_always:
            await section.text(f"Removing intermediate container {container[:12]}\n")
        raise
    if request.remove or request.remove_always:
        await section.text(f"Removing intermediate container {container[:12]}\n")
