"""`vaultctl describe`: everything about one service on one page, with what runs right now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from reconciler.app.finding import existing
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, fields, indented, printable, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.core.assess.judged import Judged
    from reconciler.core.assess.observed import Container
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

EVENTS: Final = 15


@click.command(
    "describe",
    cls=Verb,
    short_help="Show everything about one service.",
    examples=[
        ("vaultctl describe files", "spec, conditions, every container with its place in the pool, events"),
        ("vaultctl describe files --no-color | less", "page by page"),
    ],
)
@name_argument()
@pass_session
def command(session: Session, name: str) -> None:
    """Show the service NAME: what is wanted, how it is doing, each of its containers now, and what happened lately.

    Unlike `get`, it asks the engine and HAProxy.
    """
    application = session.application
    (stored,) = existing(application.objects, [name])
    status = application.objects.status(stored.name)
    now = datetime.now(UTC)
    sections = [
        ("", _identity(stored, status)),
        ("Spec", _spec(stored)),
        ("Conditions", _conditions(status, now)),
        ("Containers", _containers(application, stored, now)),
        (f"Last {EVENTS} events", _events(application, stored.name, now)),
    ]
    click.echo("\n\n".join(f"{title}:\n{indented(text)}" if title else text for title, text in sections))


def _identity(stored: StoredObject, status: Status) -> str:
    from reconciler.app.documents import url
    from reconciler.cli.summary import COLORS, summarize

    service, counts = stored.service, status.replicas
    summary = summarize(stored, status)
    verdict = click.style(summary.verdict.value, fg=COLORS[summary.verdict])
    origin = f"{stored.origin.kind}, {stored.origin.manifest}:{stored.origin.line}"
    if stored.origin.commit:
        origin += f" at {stored.origin.commit}"
    return fields(
        {
            "Name": stored.name,
            "Plugin": service.spec.plugin,
            "URL": url(service),
            "Labels": ", ".join(f"{key}={value}" for key, value in sorted(service.metadata.labels.items())),
            "Origin": origin,
            "Generation": f"{service.metadata.generation}, last acted on {status.observed_generation or 'none'}",
            "Revision": status.revision or "",
            "State": f"{verdict} ({summary.reason}) {printable(summary.message)}".rstrip(),
            "Replicas": f"{counts.desired} desired, {counts.current} current, {counts.updated} updated, "
            f"{counts.ready} ready, {counts.serving} serving",
            "Next rotation": status.next_rotation.isoformat() if status.next_rotation else "",
        }
    )


def _spec(stored: StoredObject) -> str:
    """What the user wrote and no more; values that came from settings files are not part of a spec."""
    from reconciler.api.yaml_writing import document

    spec = stored.service.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return document(spec, readable=True).rstrip()


def _conditions(status: Status, now: datetime) -> str:
    rows = [
        [
            condition.type,
            condition.status,
            condition.reason,
            age(condition.last_transition_time, now),
            printable(condition.message).replace("\n", " "),
        ]
        for condition in status.conditions
    ]
    return table(["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], rows) if rows else "none yet"


def _containers(application: Application, stored: StoredObject, now: datetime) -> str:
    from reconciler.api import VaultError
    from vault_plugins.contract import PluginError

    try:
        stack = application.build(stored.service, stored.origin.manifest.parent)
        return _container_table(application.observe(stack), now)
    except (VaultError, PluginError) as error:
        # The rest of the page is what somebody needs who has to mend this.
        return printable(f"cannot be seen: {error}")


def _container_table(judged: Judged, now: datetime) -> str:
    stack, members = judged.stack, judged.members
    current = {workload.name: workload for workload in stack.workloads}

    def row(container: Container) -> list[str]:
        workload = current.get(container.workload)
        is_current = workload is not None and workload.accepts(container.revision)
        member = members.get(container.short)
        pool = "" if member is None else "draining" if member.draining else "up" if member.up else "down"
        state = container.state.value
        if container.exit_code is not None and state == "exited":
            state = f"exited ({container.exit_code})"
        return [
            container.name,
            container.role.value,
            container.revision + ("" if is_current else " (old)"),
            state,
            "" if container.health.value == "none" else container.health.value,
            pool,
            str(member.sessions) if member else "",
            age(container.created, now),
        ]

    containers = sorted(judged.observed.engine.containers, key=lambda c: (c.role, c.created, c.id))
    rows = [row(each) for each in containers]
    headers = ["CONTAINER", "ROLE", "REVISION", "STATE", "HEALTH", "POOL", "SESSIONS", "AGE"]
    return table(headers, rows) if rows else "there are none"


def _events(application: Application, name: str, now: datetime) -> str:
    from reconciler.cli.events import event_table

    events = application.history.events(name, EVENTS)
    return event_table(events, now, with_service=False) if events else "none"
