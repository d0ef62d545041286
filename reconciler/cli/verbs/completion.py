"""`vaultctl completion`: the script that makes a shell complete verbs, options and names."""

from __future__ import annotations

from typing import Final

import click

from reconciler.cli.verb import Verb

VARIABLE: Final = "_VAULTCTL_COMPLETE"
"""What the script sets to ask `vaultctl` for completions; click derives it from the program's name."""


@click.command(
    "completion",
    cls=Verb,
    short_help="Print the completion script of a shell.",
    examples=[
        ("source <(vaultctl completion bash)", "complete in this bash; put it into ~/.bashrc for all"),
        ("vaultctl completion zsh > ~/.zfunc/_vaultctl", "complete in zsh, with ~/.zfunc on its fpath"),
        ("vaultctl completion fish > ~/.config/fish/completions/vaultctl.fish", "complete in fish"),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options and the names of VaultServices."""
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(context.find_root().command, {}, "vaultctl", VARIABLE).source())
