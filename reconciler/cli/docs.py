"""Writes docs/cli.md from the commands themselves: `python -m reconciler.cli.docs docs/cli.md`.

A test compares the file with this output, so that an option cannot be added without being documented.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from reconciler.cli import exit_codes
from reconciler.cli.global_options import global_options
from reconciler.cli.remote.verbs import INSTEAD, LOCAL, WORKS
from reconciler.cli.root import root
from reconciler.cli.verb import Verb

__all__ = ["reference"]

HEADER = """\
<!-- Generated from reconciler/cli by `python -m reconciler.cli.docs docs/cli.md`; do not edit. -->

# The command line: vaultctl

`vaultctl COMMAND --help` prints the same text, and `vaultctl completion SHELL` makes a shell complete commands, options
and names. Answers go to stdout; progress, warnings and errors go to stderr. An error is one sentence; with `--debug` its
traceback comes before it. Tables are for people and may change: scripts use `-o json`, `-o name` and the exit code.
"""
OVER_THE_API = """\
## Over the API of a controller

With `--server`, `--kubeconfig` or `--context` a command works over the API that `vaultctl run --api` serves
([kubernetes-api.md](kubernetes-api.md)), and not on a state directory of this machine:

```sh
vaultctl kubeconfig --role edit --server https://vault.example.com:6443 > vault.kubeconfig   # on the controller's machine
export VAULT_KUBECONFIG=vault.kubeconfig                                                     # elsewhere
vaultctl get --watch
vaultctl apply -f files.yaml --wait
vaultctl scale files --replicas 4
```

Without a kubeconfig: `VAULT_SERVER`, `VAULT_TOKEN` and `VAULT_CERTIFICATE_AUTHORITY`. Options count more than a kubeconfig,
also a `VAULT_TOKEN` that was set for another program. `KUBECONFIG` is read only with `--context`. Programs for a login
(`exec` of a user, such as kubelogin) are run as kubectl does.

| | |
|---|---|
| work over the API | {works} |
| are about files of this machine, and take no notice of it | {local} |

`run` and `agent` are programs of the machine that they run on, and `swarm` installs the controller. `adopt` and `release`
run Compose projects from files of the controller's machine, and are continued there by the same command when they were
interrupted. `cordon`, `drain` and `uncordon` ask a manager of the Swarm. All of these say so over the API:

| command | in its place |
|---|---|
{instead}

The controller checks manifests: `apply` first has all of them checked, and stores none if one is refused. An object of a
directory is edited in its file on that machine; one of Git is refused, and the repository named. Volumes are only removed
on the controller's machine. `diff` and `apply --dry-run` name the fields of a spec that differ from what is stored, for the
role edit; they and `describe` do not see containers, which `kubectl get pods` shows. URLs are those of the controller's
machine.

`doctor` looks at the controller's machine; it, `token`, `user` and `kubeconfig` need the role admin. A new token and a
password are only in the TLS connection. `kubeconfig` prints one for the same server, with a token; a client certificate is
made on the controller's machine. `images` has registries asked by the controller, which tells the same for two minutes.

A command that waits is told of changes by two watches; where these are refused it asks once a second.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(root, info_name="vaultctl")
    codes = [f"| {code} | {meaning} |" for code, meaning in exit_codes.MEANINGS]
    parts = [
        HEADER,
        "## Options of every command\n\nThey may stand before or after the command.\n",
        _options(global_options(hidden=False), context),
        _over_the_api(),
        "\n".join(["## Exit codes\n", "| code | meaning |", "|---|---|", *codes]) + "\n",
        *(part for command in _commands(root, context) for part in _section(command)),
    ]
    return "\n".join(parts)


def _over_the_api() -> str:
    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(names))

    instead = [f"| `{verb}` | {words} |" for verb, words in sorted(INSTEAD.items())]
    return OVER_THE_API.format(works=listed(WORKS), local=listed(LOCAL), instead="\n".join(instead))


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """A context for each verb below `group`, those of groups in it included."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    assert isinstance(command, Verb)
    yield f"## {context.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{context.command_path} {usage}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield _options([each for each in command.params if isinstance(each, click.Option)], context)
    yield "```sh"
    for line, purpose in command.examples:
        yield f"{line}   # {purpose}"
    yield "```\n"


def _options(options: Sequence[click.Option], context: click.Context) -> str:
    if not options:
        return ""
    rows = (_row(*(option.get_help_record(context) or ("", ""))) for option in options)
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"


def _row(names: str, meaning: str) -> str:
    # In a table "|" ends the cell, also inside code.
    cells = (cell.replace("|", "\\|") for cell in (f"`{names}`", meaning))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
