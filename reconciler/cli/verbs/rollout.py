"""`vaultctl rollout`: how a change goes on, how earlier ones went, and changing one's mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.names import existing, name_argument
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, table
from reconciler.cli.verb import VerbGroup
from reconciler.cli.waiting import until_settled

if TYPE_CHECKING:
    from reconciler.store.base import RevisionRecord


@click.group("rollout", cls=VerbGroup, short_help="Follow, list, undo, pause and restart rollouts.")
def command() -> None:
    """Follow, list, undo, pause and restart rollouts: the replacing of replicas by those of a new revision."""


@command.command(
    "status",
    short_help="Wait for a rollout's end.",
    examples=[
        ("vaultctl rollout status files", "until it is Ready, or has failed"),
        ("vaultctl rollout status files --timeout 30s || vaultctl events files", "in a script"),
    ],
)
@name_argument()
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait.")
@pass_session
def status(session: Session, name: str, timeout: float) -> None:
    """Show how the rollout of NAME goes on until it ends; exit 1 if it does not end well."""
    from reconciler.cli.progress import reporting

    application = session.application
    (stored,) = existing(application.objects, [name])
    with reporting(now=datetime.now) as report:
        endings = until_settled(application.objects, {stored.name: stored.generation}, timeout, report)
    end = endings[stored.name]
    if not end.ready:
        raise Failure(f"{stored.name} is not Ready: {end.reason}: {end.message}")
    click.echo(f"{stored.name} is Ready: {end.message}")


@command.command(
    "history",
    short_help="List the revisions there were.",
    examples=[
        ("vaultctl rollout history files", "each with its cause, its end and what it changed"),
        ("vaultctl rollout history files -o json", "with the whole spec of each"),
    ],
)
@name_argument()
@output_option("json", "yaml")
@pass_session
def history(session: Session, name: str, output: str | None) -> None:
    """List the revisions of NAME, oldest first; what `rollout undo --to-revision` takes is the number."""
    application = session.application
    (stored,) = existing(application.objects, [name])
    records = application.history.revisions(stored.name)
    write(output, [_document(each) for each in records], lambda: _table(records))


def _table(records: Sequence[RevisionRecord]) -> str:
    now = datetime.now(UTC)
    rows = []
    before: RevisionRecord | None = None
    for record in records:
        took = (
            f"{(record.finished_at - record.created_at).total_seconds():.1f}s" if record.finished_at else ""
        )
        changes = "; ".join(changed_fields(before.spec if before else None, record.spec))
        commit = record.commit.rpartition(":")[2][:12]
        rows.append(
            [
                str(record.number),
                record.revision,
                age(record.created_at, now),
                record.result or "under way",
                took,
                commit,
                changes,
            ]
        )
        before = record
    return table(["NUMBER", "REVISION", "AGE", "RESULT", "TOOK", "COMMIT", "CHANGED"], rows)


def _document(record: RevisionRecord) -> Mapping[str, Any]:
    import json

    return {
        "number": record.number,
        "revision": record.revision,
        "cause": record.cause,
        "commit": record.commit,
        "createdAt": record.created_at.isoformat(),
        "finishedAt": record.finished_at.isoformat() if record.finished_at else None,
        "result": record.result or None,
        "spec": redacted(json.loads(record.spec)),
    }


def redacted(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without the values of its environment, which somebody may have put a secret into."""
    return {**spec, "env": dict.fromkeys(spec.get("env") or {}, "…")}


def changed_fields(before: str | None, after: str) -> list[str]:
    """The dotted names of the fields in which two specs (JSON texts) differ; the values may be secrets."""
    import json

    if before is None:
        return ["first"]
    old, new = _flat(json.loads(before)), _flat(json.loads(after))
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _flat(item, f"{prefix}.{key}" if prefix else key)
    return found
