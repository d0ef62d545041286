"""`vaultctl diff`: what would change if this manifest were applied now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import exit_codes
from reconciler.cli.errors import Trouble
from reconciler.cli.manifests import file_option, prepared
from reconciler.cli.output import output_option, qualified, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import indented, printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.preparing import Prepared
    from reconciler.wiring import Application, Look


@click.command(
    "diff",
    cls=Verb,
    failure=Trouble,
    short_help="Show what differs between manifests and what runs.",
    examples=[
        ("vaultctl diff -f manifests/whoami.yaml", "what differs, and the first operations"),
        ("vaultctl diff -f manifests/ >/dev/null && echo converged", "exit 0 none, 1 differences, 2 trouble"),
        ("vaultctl diff -f manifests/ -o json", "for scripts"),
    ],
)
@file_option()
@output_option("json", "yaml")
@pass_session
@click.pass_context
def command(context: click.Context, session: Session, files: Sequence[Path], output: str | None) -> None:
    """Show what differs between manifests and what runs, and the operations that the next pass would begin with.

    Looks at containers and at HAProxy, and changes nothing. Exit 0: nothing differs. 1: something does. 2: it could
    not be compared.
    """
    from reconciler.app.differing import difference_document, differs

    application = session.application
    looks = look_at(application, prepared(session, files))
    write(output, [difference_document(look) for look in looks], lambda: text_of(looks))
    context.exit(exit_codes.CHANGES if any(map(differs, looks)) else exit_codes.OK)


def look_at(application: Application, wanted: Sequence[Prepared]) -> list[Look]:
    """A look at each service; what only the engine can tell of its images is warned about."""
    from reconciler.core.assess.unkept import unkept

    looks = []
    for each in wanted:
        looks.append(application.look(each.stack))
        for warning in unkept(looks[-1].judged):
            warn(f"{each.manifest.path}:{each.manifest.line}: {each.name}: {warning}")
    return looks


def text_of(looks: Sequence[Look]) -> str:
    """What differs, for people."""
    return "\n".join(_text(look) for look in looks)


def _text(look: Look) -> str:
    from reconciler.app.differing import differs

    if not differs(look):
        return f"{qualified(look.stack.name)}: nothing differs"
    count = len(look.differences)
    title = f"{qualified(look.stack.name)}: {count} {'difference' if count == 1 else 'differences'}"
    parts = [title, *(indented(str(difference)) for difference in look.differences)]
    if look.plan or look.plan.blocked or look.plan.waiting:
        parts += ["first operations:" if look.plan else "now:", indented(str(look.plan))]
    return printable("\n".join(parts))
