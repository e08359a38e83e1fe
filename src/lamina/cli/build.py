"""``lamina build``: an image out of a Dockerfile."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from lamina.cli.build_options import (
    build_arguments,
    extra_hosts,
    labels,
    outputs,
    secrets,
    size,
    to_stdout,
    ulimits,
)
from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options

_PATH = click.Path(path_type=Path, dir_okay=False)


def _complete_directory(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


@click.command(name="build")
@target_options
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name the image.")
@click.option(
    "-f",
    "--file",
    "dockerfile",
    type=click.Path(path_type=str),
    metavar="FILE|-",
    help="The Dockerfile.  [CONTEXT/Dockerfile]",
)
@click.option(
    "--build-arg",
    "arguments",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Set an ARG; without a value to the environment's.",
)
@click.option("--label", "label", multiple=True, metavar="KEY[=VALUE]", help="Label the image.")
@click.option("--target", "stage", default="", metavar="STAGE", help="Build this stage.")
@click.option("--platform", default="", metavar="OS/ARCH", help="Build for this platform.")
@click.option(
    "--secret",
    "secret",
    multiple=True,
    metavar="id=ID[,src=FILE|,env=NAME]",
    help="A secret for RUN --mount=type=secret.",
)
@click.option(
    "--ssh",
    "ssh",
    multiple=True,
    metavar="ID[=SOCKET|KEY[,KEY]]",
    help="An agent for RUN --mount=type=ssh, or one with these keys.",
)
@click.option("--no-cache", is_flag=True, help="Run every step anew.")
@click.option("--pull", is_flag=True, help="Ask registries for newer base images.")
@click.option(
    "--cache-from",
    multiple=True,
    metavar="IMAGE",
    shell_complete=complete_image,
    help="Take steps from this image (repeatable).",
)
@click.option("--network", default="", metavar="MODE", help="Network of RUN: default, host, none.")
@click.option("--add-host", "hosts", multiple=True, metavar="HOST:IP", help="Add to /etc/hosts.")
@click.option("-m", "--memory", default="", metavar="BYTES", help="Memory of RUN.")
@click.option("--memory-swap", default="", metavar="BYTES", help="Memory and swap; -1: no limit.")
@click.option("-c", "--cpu-shares", type=int, default=0, help="Relative weight of RUN.")
@click.option("--cpu-period", type=int, default=0, metavar="µs", help="Period of the CPU quota.")
@click.option("--cpu-quota", type=int, default=0, metavar="µs", help="CPU time in a period.")
@click.option("--cpuset-cpus", default="", metavar="LIST", help="CPUs to run on: 0-3, 0,1.")
@click.option("--cpuset-mems", default="", metavar="LIST", help="Memory nodes to use.")
@click.option("--shm-size", default="", metavar="BYTES", help="Size of /dev/shm.")
@click.option(
    "--ulimit",
    "limits",
    multiple=True,
    metavar="NAME=SOFT[:HARD]",
    help="Limit of RUN's processes.",
)
@click.option("--cgroup-parent", default="", metavar="PATH", help="Where RUN's cgroups are made.")
@click.option("--squash", is_flag=True, help="Make one layer of the new ones.")
@click.option("--rm/--no-rm", default=True, help="Remove containers of steps that succeed.  [rm]")
@click.option("--force-rm", is_flag=True, help="Remove those of failed steps, too.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "json"]),
    default="auto",
    help="A live display on a terminal, text, or an event a line.  [auto]",
)
@click.option(
    "-o",
    "--output",
    "output",
    multiple=True,
    metavar="DIR|-|type=TYPE,dest=PATH",
    help="Also write the result: local, tar, oci, docker; or name it: image.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print the image's ID alone.")
@click.option("--iidfile", type=_PATH, help="Write the image's ID to this file.")
@click.argument("source", metavar="DIR|URL|-", shell_complete=_complete_directory)
def command(
    target: Target,
    *,
    tags: tuple[str, ...],
    dockerfile: str | None,
    arguments: tuple[str, ...],
    label: tuple[str, ...],
    stage: str,
    platform: str,
    secret: tuple[str, ...],
    ssh: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    cache_from: tuple[str, ...],
    network: str,
    hosts: tuple[str, ...],
    memory: str,
    memory_swap: str,
    cpu_shares: int,
    cpu_period: int,
    cpu_quota: int,
    cpuset_cpus: str,
    cpuset_mems: str,
    shm_size: str,
    limits: tuple[str, ...],
    cgroup_parent: str,
    squash: bool,
    rm: bool,
    force_rm: bool,
    progress: str,
    output: tuple[str, ...],
    quiet: bool,
    iidfile: Path | None,
    source: str,
) -> None:
    """Build an image from a Dockerfile.

    The context is a directory, the URL of an archive, a Dockerfile or a git repository, or what
    comes through stdin: an archive or a Dockerfile. Files that its .dockerignore names are not
    sent. The exit status is that of the command that failed.
    """
    from lamina.cli.running import run

    async def main() -> str:
        from lamina.cli.build_context import sent_context
        from lamina.cli.build_progress import follow
        from lamina.cli.ssh_agents import agent_sources, running_agents

        is_here = target.data_root is not None
        wanted = outputs(output)
        takes_stdout = to_stdout(wanted)
        sent = await sent_context(source, dockerfile)
        agents = running_agents(agent_sources(ssh, os.environ))
        async with target.open() as api, agents as sockets:
            return await follow(
                api.image_build(
                    dockerfile=sent.dockerfile,
                    t=tags,
                    extrahosts=extra_hosts(hosts),
                    remote=sent.remote,
                    q=quiet,
                    nocache=no_cache,
                    cachefrom=cache_from,
                    pull=pull,
                    rm=rm,
                    # Without a daemon nobody is there to look into what a failure leaves.
                    forcerm=force_rm or (is_here and rm),
                    memory=size(memory, "-m, --memory"),
                    memswap=size(memory_swap, "--memory-swap", unlimited=True),
                    cpushares=cpu_shares,
                    cpusetcpus=cpuset_cpus,
                    cpusetmems=cpuset_mems,
                    cpuperiod=cpu_period,
                    cpuquota=cpu_quota,
                    buildargs=target.proxies() | build_arguments(arguments, os.environ),
                    shmsize=size(shm_size, "--shm-size"),
                    squash=squash,
                    labels=labels(label),
                    networkmode=network,
                    x_registry_config=await target.registry_config(),
                    platform=platform,
                    target=stage,
                    outputs=wanted,
                    input_stream=sent.stream,
                    ulimits=ulimits(limits),
                    cgroupparent=cgroup_parent,
                    secrets=secrets(secret, os.environ),
                    ssh=sockets,
                ),
                progress,
                quiet=quiet,
                to_stderr=takes_stdout,
            )

    if iidfile is not None:
        # What is there is of another image, should this build fail.
        iidfile.unlink(missing_ok=True)
    image_id = run(main())
    if iidfile is not None:
        iidfile.write_text(image_id)
