"""`vaultctl validate`: check manifests and build their stacks. Needs no engine and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.manifests import file_option, prepared
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "validate",
    cls=Verb,
    short_help="Check manifests without changing anything.",
    examples=[
        ("vaultctl validate -f manifests/whoami.yaml", "check one file"),
        ("vaultctl validate -f manifests/", "check everything below a directory, as in CI"),
        ("cat whoami.yaml | vaultctl validate -f -", "check the output of another program"),
    ],
)
@file_option()
@pass_session
def command(session: Session, files: Sequence[Path]) -> None:
    """Check manifests: their YAML, every field, their settings files, and that their plugins build a stack of them.

    Reports all errors at once, each with file, line and column. No engine is needed. Without --age-keys, a service whose
    settings files are encrypted is checked as far as it can be without them, with a warning.
    """
    for each in prepared(session, files, without_keys=True):
        what = f" ({each.summary})" if each.summary else ""
        click.echo(f"{each.manifest.path}:{each.manifest.line}: {each.ref.label} is valid{what}")
