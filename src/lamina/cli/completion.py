"""``lamina completion``: what a shell needs to complete commands, options and image names."""

import click


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell: eval "$(lamina completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "click has had these shells since 8.0"
    root = ctx.find_root()
    name = root.info_name or "lamina"
    variable = f"_{name}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    click.echo(kind(root.command, {}, name, variable).source())
