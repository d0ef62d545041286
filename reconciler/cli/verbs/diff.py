"""`vaultctl diff`: what would change if this manifest were applied now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import exit_codes
from reconciler.cli.errors import Trouble
from reconciler.cli.manifests import file_option, prepared
from reconciler.cli.output import output_option, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import indented, printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.differing import SpecDifference
    from reconciler.app.preparing import Prepared
    from reconciler.core.plan.preview import Preview
    from reconciler.engines.swarm.fit import Finding
    from reconciler.wiring import Application


@click.command(
    "diff",
    cls=Verb,
    failure=Trouble,
    short_help="Show differences between manifests and containers.",
    examples=[
        ("vaultctl diff -f manifests/whoami.yaml", "the differences, and the first operations"),
        ("vaultctl diff -f manifests/ >/dev/null && echo converged", "exit 0 none, 1 differences, 2 trouble"),
        ("vaultctl diff -f manifests/ -o json", "for scripts"),
        (
            "vaultctl diff -f manifests/ --engine swarm",
            "before a move to a Docker Swarm: what differs there",
        ),
    ],
)
@file_option()
@click.option(
    "--engine",
    type=click.Choice(["swarm"]),
    help="Compare running on one host with running on the nodes of a Docker Swarm, in place of containers.",
)
@output_option("json", "yaml")
@pass_session
@click.pass_context
def command(
    context: click.Context, session: Session, files: Sequence[Path], engine: str | None, output: str | None
) -> None:
    """Show the differences between manifests and running containers, and the operations of the next pass.

    Observes containers and HAProxy, and changes nothing. Exit 0: no differences. 1: differences. 2: the comparison
    failed.
    """
    from reconciler.app.differing import difference_document, differs

    application = session.application
    if engine:
        show_move(application, prepared(session, files), output)
        return
    found = previews(application, prepared(session, files))
    write(output, [difference_document(preview) for preview in found], lambda: text_of(found))
    context.exit(exit_codes.CHANGES if any(map(differs, found)) else exit_codes.OK)


def show_move(application: Application, wanted: Sequence[Prepared], output: str | None) -> None:
    """What differs on a Swarm; ends the process with 1 if anything does."""
    found = {str(each.ref): application.findings_on_a_swarm(each.stack) for each in wanted if each.stack}
    documents = [_move_document(*each) for each in found.items()]
    write(output, documents, lambda: "\n".join(_move(*each) for each in found.items()))
    raise SystemExit(exit_codes.CHANGES if any(found.values()) else exit_codes.OK)


def _move_document(name: str, found: Sequence[Finding]) -> dict[str, Any]:
    return {
        "object": name,
        "findings": [{"place": each.place, "text": each.text, "refused": each.is_refused} for each in found],
    }


def _move(name: str, found: Sequence[Finding]) -> str:
    if not found:
        return f"{name}: nothing differs on a Swarm"
    lines = [indented(f"{'refused' if each.is_refused else 'differs'}: {each}") for each in found]
    return printable("\n".join([f"{name}:", *lines]))


def previews(application: Application, wanted: Sequence[Prepared]) -> list[Preview | SpecDifference]:
    """A preview of each service, with warnings about images that need the engine; how the spec of other kinds differs."""
    from reconciler.app.differing import spec_difference
    from reconciler.core.assess.unkept import unkept

    found: list[Preview | SpecDifference] = []
    for each in wanted:
        if each.stack is None:
            base = each.manifest.path.parent
            found.append(spec_difference(application.objects, each.resource, base))
            continue
        preview = application.preview(each.stack)
        found.append(preview)
        for warning in unkept(preview.assessment):
            warn(f"{each.manifest.path}:{each.manifest.line}: {each.ref.name}: {warning}")
    return found


def text_of(found: Sequence[Preview | SpecDifference]) -> str:
    """The differences as text."""
    from reconciler.app.differing import SpecDifference

    return "\n".join(
        _text_of_spec(each) if isinstance(each, SpecDifference) else _text(each) for each in found
    )


def _text_of_spec(found: SpecDifference) -> str:
    if found.is_new:
        return f"{found.ref}: is not stored yet"
    if not found.fields:
        return f"{found.ref}: nothing differs"
    return "\n".join([f"{found.ref}: its spec differs", *(indented(f"spec.{name}") for name in found.fields)])


def _text(preview: Preview) -> str:
    from reconciler.app.differing import differs, ref_of

    if not differs(preview):
        return f"{ref_of(preview)}: nothing differs"
    count = len(preview.differences)
    title = f"{ref_of(preview)}: {count} {'difference' if count == 1 else 'differences'}"
    parts = [title, *(indented(str(difference)) for difference in preview.differences)]
    if preview.plan or preview.plan.blocked or preview.plan.waiting:
        parts += ["first operations:" if preview.plan else "now:", indented(str(preview.plan))]
    return printable("\n".join(parts))
