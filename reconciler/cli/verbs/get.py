"""`vaultctl get`: list services and their status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.app.nodes import names_of_nodes
from reconciler.cli.names import names_argument
from reconciler.cli.object_table import Extra, object_table
from reconciler.cli.printing import Format, format_option, write_documents
from reconciler.cli.selection import namespace_options, selection_options
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.app.listing import Seen
    from reconciler.app.selecting import Selection
    from reconciler.wiring import Application

WATCH_SECONDS: Final = 3600.0
"""Longest wait for the next change; a shorter one ends by itself."""


@dataclass(frozen=True)
class _Asked:
    """What to show, and how."""

    names: Sequence[str]
    output: Format
    extra: Extra
    selection: Selection
    sort_by: str | None
    headers: bool

    @property
    def needs_models(self) -> bool:
        """Whether objects have to be read whole: a view is enough for the plain table of VaultServices."""
        return (
            self.output.needs_documents
            or self.sort_by is not None
            or self.extra.is_about_labels
            or bool(self.selection.labels.requirements)
        )


@click.command(
    "get",
    cls=Verb,
    short_help="List services and their status.",
    examples=[
        ("vaultctl get", "all services"),
        ("vaultctl get files -o json", "one with its spec, conditions and observedGeneration"),
        ("vaultctl get -o name", "only names, for loops in scripts"),
        ("vaultctl get -l 'team in (web,data),!beta' --sort-by .status.replicas.desired", "by label, sorted"),
        ("vaultctl get files -o jsonpath='{.status.revision}'", "one value"),
        ("vaultctl get -o custom-columns=NAME:.metadata.name,PLUGIN:.spec.plugin", "columns of your own"),
        ("vaultctl get --watch", "again whenever something changes"),
        ("vaultctl get --server https://vault.example.com:6443", "of another machine; see docs/cli.md"),
        ("vaultctl get gateways", "all gateways; `vaultctl routes` lists what they serve"),
        ("vaultctl get nodes -o wide", "the machines of the engine: one, or those of a Docker Swarm"),
    ],
)
@names_argument(required=False, metavar="[[KIND] NAME...]")
@format_option()
@selection_options
@namespace_options
@click.option("-A", "--all-namespaces", is_flag=True, help="Show the namespace, of which there is one.")
@click.option("--sort-by", metavar="PATH", help="Sort by a field, such as .metadata.creationTimestamp.")
@click.option("--no-headers", is_flag=True, help="Leave the line with the titles of columns out.")
@click.option("--show-labels", is_flag=True, help="Show all labels in a column.")
@click.option(
    "-L", "--label-columns", metavar="KEYS", multiple=True, help="Show these labels in columns of their own."
)
@click.option("-w", "--watch", is_flag=True, help="Keep running, and show changes.")
@pass_session
def command(
    session: Session,
    names: Sequence[str],
    output: Format,
    selection: Selection,
    all_namespaces: bool,
    sort_by: str | None,
    no_headers: bool,
    show_labels: bool,
    label_columns: Sequence[str],
    watch: bool,
) -> None:
    """List the services NAME..., or all, as the controller last observed them. `describe` queries the engine itself.

    With a KIND before them, or as KIND/NAME, objects of another kind are listed, and nodes as the engine tells of them.
    Templates and paths are in kubectl's dialect of JSONPath.
    """
    keys = tuple(key.strip() for text in label_columns for key in text.split(",") if key.strip())
    extra = Extra(output.name == "wide", all_namespaces, keys, show_labels)
    asked = _Asked(names, output, extra, selection, sort_by, not no_headers)
    application = session.application
    if (nodes := names_of_nodes(application.object_views, names)) is not None:
        if watch:
            raise click.UsageError("nodes are not watched: leave --watch out")
        from reconciler.cli.nodes import show_nodes

        show_nodes(session, nodes, output, extra, selection, sort_by, headers=asked.headers)
        return
    if not watch:
        _show(application, asked, known={}, first=True)
        return
    with application.changes() as changes:
        shown = _show(application, asked, known={}, first=True)
        while True:
            changes.wait(WATCH_SECONDS)
            shown = _show(application, asked, known=shown, first=False)


def _show(
    application: Application, asked: _Asked, known: Mapping[Ref, Seen], *, first: bool
) -> Mapping[Ref, Seen]:
    """Write the lines that differ from `known`, and return the current ones."""
    from reconciler.app.finding import kind_and_names
    from reconciler.app.listing import chosen, look_up, sorted_by

    kind, which = kind_and_names(application.object_views, asked.names)
    # Views are only read for the columns of VaultServices.
    is_plain = not asked.needs_models and kind == VAULT_SERVICE and not any("/" in name for name in which)
    # With --watch an object may be deleted between two looks.
    there = look_up(application.object_views if is_plain else application.objects, asked.names, tuple(known))
    now: Mapping[Ref, Seen] = chosen(there, asked.selection)
    if asked.sort_by is not None:
        now = sorted_by(application.objects, now, asked.sort_by)
    news = [seen for ref, seen in now.items() if seen != known.get(ref)]
    if not first and not news:
        return now
    if not now and asked.output.is_table:
        what = "services" if kind == VAULT_SERVICE else kind.plural
        unmatched = " that match" if there else f" in {application.place}"
        click.echo(f"there are no {what}{unmatched}", err=True)
        return now
    one = len(which) == 1 and asked.selection.is_everything
    _write(application, asked, news, one=one, with_headers=not known and asked.headers)
    return now


def _write(
    application: Application, asked: _Asked, seen: Sequence[Seen], *, one: bool, with_headers: bool
) -> None:
    from reconciler.app.listing import documents_of, list_objects

    if asked.output.needs_documents:
        documents = documents_of(application.objects, seen)
        write_documents(asked.output, documents, one=one, with_headers=with_headers)
        return
    if asked.output.name == "name":
        click.echo("\n".join(str(each.stored.ref) for each in seen))
        return
    tables = []
    for kind in dict.fromkeys(each.stored.ref.kind for each in seen):
        lines = list_objects([each for each in seen if each.stored.ref.kind == kind], application.history)
        whole = object_table(kind, lines, asked.extra)
        tables.append(whole if with_headers else whole.partition("\n")[2])
    click.echo(("\n\n" if with_headers else "\n").join(tables))
