"""`vaultctl apply`: store manifests, and converge their services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.manifests import DASH, file_option, prepared
from reconciler.cli.output import listed, output_option, say, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api import Manifest
    from reconciler.api.kinds import Ref
    from reconciler.app.preparing import Prepared
    from reconciler.controller.report.outcome import Outcome
    from reconciler.store.base import Origin, StoredObject
    from reconciler.wiring import Application


@click.command(
    "apply",
    cls=Verb,
    short_help="Reconcile services with manifests.",
    examples=[
        ("vaultctl apply -f manifests/whoami.yaml --wait", "and wait until it is Ready"),
        ("vaultctl apply -f manifests/ --dry-run", "only show what would change, like diff"),
        (
            "cat whoami.yaml | vaultctl apply -f - --wait --timeout 2m",
            "from another program, for two minutes",
        ),
    ],
)
@file_option()
@click.option("--wait", is_flag=True, help="Return when all are Ready; exit 1 when one is not.")
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait at most.")
@click.option("--dry-run", is_flag=True, help="Show what differs and change nothing.")
@output_option("json", "yaml", "name")
@pass_session
def command(
    session: Session, files: Sequence[Path], wait: bool, timeout: float, dry_run: bool, output: str | None
) -> None:
    """Store manifests as the desired state.

    A controller that runs on the same state directory (`vaultctl run`) then reconciles them, and --wait waits for it.
    Without one, this command does it itself, with or without --wait, and reports in the same way.

    If a manifest is invalid, none of the given ones is stored.
    """
    from reconciler.app.applying import apply, overrules
    from reconciler.app.converging import conclude

    application = session.application
    wanted = prepared(session, files)
    if dry_run:
        _show_differences(application, wanted)
        return
    for each in wanted:
        if warning := overrules(application.objects, each.ref):
            warn(warning)
    now = datetime.now(UTC)
    applied = [apply(application.objects, each.resource, _origin(each.manifest), now) for each in wanted]
    if output in (None, "name"):
        for done in applied:
            click.echo(str(done.stored.ref) + ("" if output else f" {done.news}"))
    stored = [done.stored for done in applied]
    outcomes = _settle(application, stored, timeout, wait=wait)
    if output in ("json", "yaml"):
        _write_documents(application, stored, output)
    elif output is None:
        _say_where(stored, outcomes, is_here=session.remote is None)
    conclude(outcomes)


def _show_differences(application: Application, wanted: Sequence[Prepared]) -> None:
    from reconciler.cli.verbs.diff import previews, text_of

    click.echo(text_of(previews(application, wanted)))


def _origin(manifest: Manifest) -> Origin:
    from reconciler.store.base import Origin

    path = manifest.path.absolute() if manifest.path.exists() else Path.cwd() / DASH
    return Origin("apply", str(path), path, manifest.line)


def _settle(
    application: Application, stored: Sequence[StoredObject[Any]], timeout: float, *, wait: bool
) -> Mapping[Ref, Outcome]:
    """The outcome of each object; empty when a controller takes over without --wait."""
    from reconciler.app.converging import settle
    from reconciler.cli.progress import reporting

    if not application.controller_is_running():
        say("no controller is running on this state directory: converging here")
    elif not wait:
        return {}
    with reporting(now=datetime.now) as report:
        return settle(application, stored, timeout, report)


def _write_documents(application: Application, stored: Sequence[StoredObject[Any]], output: str) -> None:
    from reconciler.app.documents import resource_document

    objects = application.objects
    documents = [resource_document(each, objects.of(each.ref.kind).status(each.name)) for each in stored]
    write(output, documents[0] if len(documents) == 1 else listed(documents), str)


def _say_where(
    stored: Sequence[StoredObject[Any]], outcomes: Mapping[Ref, Outcome], *, is_here: bool
) -> None:
    from reconciler.app.documents import url

    for each in stored:
        if each.ref in outcomes and outcomes[each.ref].ready:
            # A port is one of the controller's machine, whose address is not known elsewhere.
            where = (is_here and url(each.resource)) or outcomes[each.ref].message
            click.echo(f"{each.ref.label} is Ready: {where}")
