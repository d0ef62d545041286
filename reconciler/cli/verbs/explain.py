"""`vaultctl explain`: the documentation of one field of a manifest."""

from __future__ import annotations

import click

from reconciler.cli.verb import Verb


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.api.explain import fields_of
    from reconciler.api.kinds import VAULT_SERVICE, kind_called
    from reconciler.api.schema import child, resource_schema

    *parents, begun = incomplete.split(".")
    kind = kind_called(parents[0]) if parents else None
    schema = resource_schema(kind or VAULT_SERVICE)
    for step in parents[1:] if kind else parents:
        schema = child(schema, step) or {}
    prefix = "".join(f"{step}." for step in parents)
    return [prefix + name for name in fields_of(schema) if name.startswith(begun)] if schema else []


@click.command(
    "explain",
    cls=Verb,
    short_help="Show the documentation of a field.",
    examples=[
        ("vaultctl explain VaultService", "the fields of a manifest"),
        ("vaultctl explain spec.strategy.rollingUpdate", "one field with its type, default and sub-fields"),
    ],
)
@click.argument("field", default="VaultService", shell_complete=_complete)
def command(field: str) -> None:
    """Show the documentation of FIELD: its type, default and sub-fields. FIELD is a path like spec.ports.http."""
    from reconciler.api.explain import explain

    click.echo(explain(field))
