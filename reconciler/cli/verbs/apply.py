"""`vaultctl apply`: store what the user wants, and see to it that it comes true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.manifests import DASH, Prepared, file_option, prepare, read
from reconciler.cli.output import listed, output_option, qualified, say, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb
from reconciler.cli.waiting import Ending, until_settled

if TYPE_CHECKING:
    from reconciler.cli.progress import Report
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application


@click.command(
    "apply",
    cls=Verb,
    short_help="Make services be as their manifests say.",
    examples=[
        ("vaultctl apply -f manifests/whoami.yaml --wait", "and say when it is Ready"),
        ("vaultctl apply -f manifests/ --dry-run", "only show what would change, like diff"),
        (
            "cat whoami.yaml | vaultctl apply -f - --wait --timeout 2m",
            "from another program, for two minutes",
        ),
    ],
)
@file_option()
@click.option("--wait", is_flag=True, help="Return when all are Ready; exit 1 when one is not.")
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long that may take.")
@click.option("--dry-run", is_flag=True, help="Show what differs and change nothing.")
@output_option("json", "yaml", "name")
@pass_session
def command(
    session: Session, files: Sequence[Path], wait: bool, timeout: float, dry_run: bool, output: str | None
) -> None:
    """Store manifests as what is wanted from now on.

    A controller that runs on the same state directory (`vaultctl run`) then makes it so, and --wait waits for it.
    Without one, this command does it itself, whether or not --wait is given, and reports the same way.

    A manifest that is wrong in any way is not stored, and neither are those that came with it.
    """
    application = session.application
    prepared = prepare(application, read(files))
    if dry_run:
        _show_differences(application, prepared)
        return
    before = {each.name: application.objects.get(each.name) for each in prepared}
    for name in before:
        _warn_of_other_origin(before[name])
    stored = [_store(application, each) for each in prepared]
    if output in (None, "name"):
        for each in stored:
            news = "" if output else f" {_news(before[each.name], each)}"
            click.echo(qualified(each.name) + news)
    endings = _settle(application, stored, timeout, wait=wait)
    if output in ("json", "yaml"):
        _write_documents(application, stored, output)
    _conclude(stored, endings, quiet=output is not None)


def _show_differences(application: Application, prepared: Sequence[Prepared]) -> None:
    from reconciler.cli.verbs.diff import text_of

    click.echo(text_of([application.look(each.stack) for each in prepared]))


def _warn_of_other_origin(before: StoredObject | None) -> None:
    if before is not None and before.origin.kind != "apply":
        warn(
            f"{before.name} comes from {before.origin.place}: a controller that follows it will undo what differs"
        )


def _store(application: Application, prepared: Prepared) -> StoredObject:
    from reconciler.store.base import Origin

    manifest = prepared.manifest
    path = manifest.path.absolute() if manifest.path.exists() else Path.cwd() / DASH
    origin = Origin("apply", str(path), path, manifest.line)
    # What an earlier run saw is no answer to this one, also when the manifest is the same.
    return application.objects.apply(manifest.service, origin, requested_at=datetime.now(UTC).isoformat())


def _news(before: StoredObject | None, after: StoredObject) -> str:
    if before is None:
        return "created"
    return "unchanged" if before.service == after.service else "configured"


def _settle(
    application: Application, stored: Sequence[StoredObject], timeout: float, *, wait: bool
) -> Mapping[str, Ending]:
    """What became of each service; empty when a controller has it from here and nobody waits."""
    from reconciler.cli.progress import reporting

    generations = {each.name: each.service.metadata.generation for each in stored}
    if application.controller_is_running():
        if not wait:
            return {}
        with reporting(now=datetime.now) as report:
            return until_settled(application.objects, generations, timeout, report)
    say("no controller is running on this state directory: converging here")
    with reporting(now=datetime.now) as report:
        return _converge(application, tuple(generations), timeout, report)


def _converge(
    application: Application, names: Sequence[str], timeout: float, report: Report
) -> Mapping[str, Ending]:
    from reconciler.cli.progress import Look
    from reconciler.controller.loop.manager import Progress

    def on_progress(progress: Progress) -> None:
        # Events of the engine make it look at other services too.
        if progress.name in names:
            report(Look(progress.name, progress.replicas, progress.message))

    outcomes = application.controller(on_progress=on_progress).converge(names, timeout)
    for name, outcome in outcomes.items():
        report(Look(name, application.objects.status(name).replicas, outcome.message, done=True))
    return {name: Ending(each.ready, each.reason, each.message) for name, each in outcomes.items()}


def _write_documents(application: Application, stored: Sequence[StoredObject], output: str) -> None:
    from reconciler.cli.summary import document

    documents = [document(each, application.objects.status(each.name)) for each in stored]
    write(output, documents[0] if len(documents) == 1 else listed(documents), str)


def _conclude(stored: Sequence[StoredObject], endings: Mapping[str, Ending], *, quiet: bool) -> None:
    """Say where Ready services are. Raises Failure that names every one that is not."""
    from reconciler.cli.summary import url

    for each in stored:
        if not quiet and each.name in endings and endings[each.name].ready:
            click.echo(f"{each.name} is Ready: {url(each.service)}")
    failed = [
        f"{name} is not Ready: {end.reason}: {end.message}" for name, end in endings.items() if not end.ready
    ]
    if failed:
        raise Failure("\n".join(failed))
