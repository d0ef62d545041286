"""`vaultctl get nodes` and `describe node`: the view of the Kubernetes API, printed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from reconciler.app.cluster.nodes import ZONE, node_document, node_roles, node_status
from reconciler.app.finding import NotFoundError
from reconciler.cli.about import VERSION
from reconciler.cli.object_table import Extra
from reconciler.cli.printing import Format, write_documents
from reconciler.cli.tables import age, fields, printable, table
from reconciler.web.kube.discovery import version

if TYPE_CHECKING:
    from reconciler.app.selecting import Selection
    from reconciler.cli.session import Session
    from reconciler.engines.instances import Instance
    from reconciler.engines.nodes import Node

__all__ = ["describe_node", "node_argument", "show_nodes"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
HEADERS: Final = ("NAME", "STATUS", "ROLES", "AGE", "VERSION")
WIDE_HEADERS: Final = (*HEADERS, "INTERNAL-IP", "ZONE", "OS-IMAGE", "PLATFORM", "ENGINE", "AVAILABILITY")

Document = Mapping[str, Any]


def node_argument(verb: Decorated) -> Decorated:
    """One NODE, with completion where the engine answers; the verb gets `node`."""
    return click.argument("node", shell_complete=_complete)(verb)


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.api.errors import VaultError
    from reconciler.cli.session import Session

    session = context.find_object(Session) or Session.from_environment()
    try:
        names = [node.name for node in session.application.engine.nodes.all()]
    except VaultError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def show_nodes(
    session: Session,
    names: Sequence[str],
    output: Format,
    extra: Extra,
    selection: Selection,
    sort_by: str | None,
    *,
    headers: bool,
) -> None:
    """Write the nodes of these names, or all. Raises NotFoundError."""
    found = [each for each in _chosen(_documents(session), names) if _is_selected(each, selection)]
    if sort_by is not None:
        from reconciler.api.query.jsonpath import relaxed
        from reconciler.app.columns import sort_key

        path = relaxed(sort_by)
        found.sort(key=lambda each: sort_key(each, path))
    if output.needs_documents:
        one = len(names) == 1 and selection.is_everything
        write_documents(output, found, one=one, with_headers=headers)
    elif output.name == "name":
        click.echo("\n".join(f"node/{_name(each)}" for each in found))
    elif not found:
        click.echo("there are no nodes that match", err=True)
    else:
        text = _table(found, extra)
        click.echo(text if headers else text.partition("\n")[2])


def describe_node(node: Node, instances: Sequence[Instance], volumes: Sequence[tuple[str, str]]) -> str:
    """A page about a node: how it is, and what runs on it. `volumes` are its local volumes, each with its project."""
    now = datetime.now(UTC)
    document = node_document(node, node.name, now, version(VERSION)["gitVersion"])
    of_managers = {None: "", True: " (leader)" if node.is_leader else " (reachable)", False: " (unreachable)"}
    drain = ""
    if node.drain:
        drain = f"since {age(node.drain.since, now)}" + ("; stops what is pinned" * node.drain.stops_pinned)
    head = fields(
        {
            "Name": node.name,
            "ID": node.id,
            "Roles": node_roles(document) + of_managers[node.is_reachable],
            "Status": node_status(document) + (f": {printable(node.problem)}" if node.problem else ""),
            "Availability": node.availability.value,
            "Draining": drain,
            "Address": node.address,
            "Labels": ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items())),
            "Engine version": node.engine,
            "System": " ".join(filter(None, (node.system or node.platform, node.architecture, node.kernel))),
            "Capacity": f"{node.cpus} processors, {node.memory >> 20} MiB",
            "Age": age(node.since, now),
        }
    )
    rows = [
        [
            each.name,
            each.label,
            each.role.value,
            each.state.value,
            "" if each.health.value == "none" else each.health.value,
            "yes" if each.is_pinned else "",
            age(each.created, now),
        ]
        for each in instances
    ]
    titles = ["INSTANCE", "OBJECT", "ROLE", "STATE", "HEALTH", "PINNED", "AGE"]
    parts = [head, "Instances:\n" + (table(titles, rows) if rows else "there are none")]
    if volumes:
        parts.append("Volumes that are on this node only:\n" + table(["VOLUME", "PROJECT"], volumes))
    return "\n\n".join(printable(part) for part in parts)


def _documents(session: Session) -> list[Document]:
    if (remote := session.remote) is not None:
        return list(remote.node_documents())
    application = session.application
    state, kubernetes = application.options.state_dir, version(VERSION)["gitVersion"]
    since = datetime.fromtimestamp(state.stat().st_ctime, UTC) if state.exists() else datetime.now(UTC)
    return [node_document(each, each.name, since, kubernetes) for each in application.engine.nodes.all()]


def _chosen(documents: Sequence[Document], names: Sequence[str]) -> list[Document]:
    by_name = {_name(each): each for each in documents}
    if missing := [name for name in names if name not in by_name]:
        raise NotFoundError(f"there is no node {missing[0]!r}; there are: {', '.join(by_name) or 'none'}")
    return [by_name[name] for name in names] if names else list(documents)


def _is_selected(document: Document, selection: Selection) -> bool:
    metadata = document["metadata"]
    is_meant = selection.fields.matches({"metadata.name": metadata["name"], "metadata.namespace": ""})
    return is_meant and selection.labels.matches(metadata["labels"])


def _table(documents: Sequence[Document], extra: Extra) -> str:
    headers = [
        *(WIDE_HEADERS if extra.wide else HEADERS),
        *(key.rpartition("/")[2].upper() for key in extra.label_columns),
        *(["LABELS"] * extra.labels),
    ]
    return table(headers, [_row(each, extra) for each in documents])


def _row(document: Document, extra: Extra) -> list[str]:
    metadata, info = document["metadata"], document["status"]["nodeInfo"]
    labels = metadata["labels"]
    born = datetime.fromisoformat(metadata["creationTimestamp"])
    row = [
        metadata["name"],
        node_status(document),
        node_roles(document),
        age(born, datetime.now(UTC)),
        info["kubeletVersion"],
    ]
    if extra.wide:
        addresses = {each["type"]: each["address"] for each in document["status"]["addresses"]}
        row += [
            addresses.get("InternalIP", ""),
            labels.get(ZONE, ""),
            info["osImage"],
            "/".join(filter(None, (info["operatingSystem"], info["architecture"]))),
            info["containerRuntimeVersion"],
            metadata.get("annotations", {}).get("vault.internal/availability", ""),
        ]
    row += [labels.get(key, "") for key in extra.label_columns]
    if extra.labels:
        row.append(",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>")
    return [printable(cell) for cell in row]


def _name(document: Document) -> str:
    return str(document["metadata"]["name"])
