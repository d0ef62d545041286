"""`vaultctl describe`: everything about one service on one page, with its current containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE
from reconciler.app.nodes import names_of_nodes
from reconciler.cli.errors import Failure
from reconciler.cli.names import names_argument, one
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, fields, indented, printable, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.api.kinds import Kind
    from reconciler.api.status import ObjectStatus
    from reconciler.api.vaultgateway import GatewayStatus
    from reconciler.app.describing import Description
    from reconciler.app.views import Views
    from reconciler.store.base import Deletion, Origin, StoredObject

EVENTS: Final = 15


@click.command(
    "describe",
    cls=Verb,
    short_help="Show everything about one service.",
    examples=[
        ("vaultctl describe files", "spec, conditions, every container with its place in the pool, events"),
        ("vaultctl describe files --no-color | less", "page by page"),
        ("vaultctl describe gateway main", "its routes, certificates, containers and events"),
        (
            "vaultctl describe node node2",
            "its state and labels, what runs on it, and which volumes are there",
        ),
    ],
)
@names_argument(required=True, metavar="[KIND] NAME")
@pass_session
def command(session: Session, names: Sequence[str]) -> None:
    """Show the service NAME, or an object of another KIND: its spec, its conditions, its containers, and its latest events;
    of a gateway its routes and certificates as well, and its nodes if it has several. Of a node it shows the instances that
    are on it.

    Unlike `get`, it queries the engine and HAProxy.
    """
    from reconciler.app.describing import describe
    from reconciler.app.finding import legible

    application = session.application
    if (nodes := names_of_nodes(application.objects, names)) is not None:
        _describe_node(session, one(nodes))
        return
    stored = one(legible(application.objects, names))
    found = describe(
        stored,
        application.objects,
        application.history,
        application.build,
        application.observe,
        application.look_at_gateway,
        events=EVENTS,
    )
    now = datetime.now(UTC)
    on_nodes = stored.ref.kind == VAULT_GATEWAY and found.status.nodes
    # Containers of other nodes are seen where the controller runs.
    has_containers = stored.ref.kind in (VAULT_SERVICE, VAULT_GATEWAY) and not on_nodes
    sections = [
        ("", _identity(found)),
        ("Spec", _spec(stored)),
        ("Conditions", _conditions(found.status, now)),
        *(_of_gateway(session.views, stored.name, now) if stored.ref.kind == VAULT_GATEWAY else ()),
        *([("Nodes", _nodes(found.status))] if on_nodes else []),
        *([("Containers", _containers(found, now))] if has_containers else []),
        (f"Last {EVENTS} events", _events(found, now)),
    ]
    click.echo("\n\n".join(f"{title}:\n{indented(text)}" if title else text for title, text in sections))


def _describe_node(session: Session, name: str) -> None:
    from reconciler.app.nodes import named
    from reconciler.cli.nodes import describe_node

    if session.remote is not None:
        raise Failure(f"type: kubectl describe node {name}")
    engine = session.application.engine
    nodes = engine.nodes.all()
    node = named(nodes, name)
    # Where there is one node, instances do not say which.
    here = [each for each in engine.instances.all() if each.node == node.name or len(nodes) == 1]
    click.echo(describe_node(node, here, engine.nodes.volumes(node.id)))


def _of_gateway(views: Views, name: str, now: datetime) -> Iterator[tuple[str, str]]:
    from reconciler.cli.gateways import certificate_table, route_table

    lines = [line for line in views.routes() if line.gateway == name]
    yield "Routes", route_table(lines, now, wide=False) if lines else "none"
    if own := [each for each in views.certificates() if each.gateway == name]:
        yield "Certificates", certificate_table(own, now, wide=False)


def _identity(found: Description) -> str:
    from reconciler.cli.summary import COLORS

    stored, status, summary = found.stored, found.status, found.summary
    metadata, is_service = stored.resource.metadata, stored.ref.kind == VAULT_SERVICE
    verdict = click.style(summary.verdict.value, fg=COLORS[summary.verdict])
    kind = {} if is_service else {"Kind": stored.ref.kind.name}
    return fields(
        {
            "Name": stored.name,
            **kind,
            **(_what(stored) if is_service else {}),
            "Labels": ", ".join(f"{key}={value}" for key, value in sorted(metadata.labels.items())),
            "Origin": _origin(stored.origin),
            **({"Deletion": _deletion(stored.deletion, stored.ref.kind)} if stored.deletion else {}),
            "Generation": f"{metadata.generation}, last acted on {status.observed_generation or 'none'}",
            **({"Revision": status.revision or ""} if is_service else {}),
            "State": f"{verdict} ({summary.reason}) {printable(summary.message)}".rstrip(),
            **(_replicas(status) if is_service else {}),
        }
    )


def _origin(origin: Origin) -> str:
    from reconciler.store.base import NO_MANIFEST

    if origin.manifest == NO_MANIFEST:
        return origin.place
    at = f" at {origin.commit}" if origin.commit else ""
    return f"{origin.kind}, {origin.manifest}:{origin.line}{at}"


def _deletion(deletion: Deletion, kind: Kind) -> str:
    requested = f"requested {age(deletion.requested_at, datetime.now(UTC))} ago"
    return f"{requested}; apply it again to take that back" if kind.deletion_waits else requested


def _what(stored: StoredObject) -> dict[str, str]:
    from reconciler.app.documents import claimed, url

    service = stored.resource
    way_in = {"Routes": ", ".join(claimed(service))} if service.spec.is_routed else {"URL": url(service)}
    return {"Plugin": service.spec.plugin, **way_in}


def _replicas(status: Status) -> dict[str, str]:
    counts = status.replicas
    return {
        "Replicas": f"{counts.desired} desired, {counts.current} current, {counts.updated} updated, "
        f"{counts.ready} ready, {counts.serving} serving",
        "Next rotation": status.next_rotation.isoformat() if status.next_rotation else "",
    }


def _spec(stored: StoredObject[Any]) -> str:
    """The spec as written; values from settings files are not part of it."""
    from reconciler.api.yaml_writing import document

    spec = stored.resource.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return document(spec, readable=True).rstrip()


def _conditions(status: ObjectStatus, now: datetime) -> str:
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


def _nodes(status: GatewayStatus) -> str:
    rows = [[node.name, str(node.answering), printable(node.message)] for node in status.nodes]
    return table(["NODE", "ANSWERING", "MESSAGE"], rows)


def _containers(found: Description, now: datetime) -> str:
    if found.unseen:
        # The rest of the page helps to repair this.
        return printable(f"cannot be seen: {found.unseen}")
    on_nodes = any(each.node for each in found.instances)
    rows = [
        [
            each.name,
            each.role,
            each.revision + ("" if each.is_current else " (old)"),
            each.state,
            each.health,
            each.pool,
            "" if each.sessions is None else str(each.sessions),
            age(each.created, now),
            *([each.node] if on_nodes else []),
        ]
        for each in found.instances
    ]
    headers = ["CONTAINER", "ROLE", "REVISION", "STATE", "HEALTH", "POOL", "SESSIONS", "AGE"]
    headers += ["NODE"] * on_nodes
    return table(headers, rows) if rows else "there are none"


def _events(found: Description, now: datetime) -> str:
    from reconciler.cli.events import event_table

    return event_table(found.events, now, with_service=False) if found.events else "none"
