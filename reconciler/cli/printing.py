"""`-o` with kubectl's formats: whole documents, a template over them, or columns that the user names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from reconciler.cli.output import listed, write
from reconciler.cli.tables import printable, table

__all__ = ["TABLE", "Format", "format_option", "write_documents"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

PLAIN: Final = ("wide", "json", "yaml", "name")
WITH_ARGUMENT: Final = ("jsonpath", "jsonpath-as-json", "custom-columns")
FROM_FILE: Final = ("jsonpath-file", "custom-columns-file")
EXAMPLES: Final = {
    "jsonpath": "jsonpath='{.status.revision}'",
    "jsonpath-as-json": "jsonpath-as-json='{.spec}'",
    "custom-columns": "custom-columns=NAME:.metadata.name,PLUGIN:.spec.plugin",
}


@dataclass(frozen=True)
class Format:
    """An output format; `argument` is its template or its columns."""

    name: str = ""
    argument: str = ""

    @property
    def is_table(self) -> bool:
        """Whether it is the table of the kind, with few or many columns."""
        return self.name in ("", "wide")

    @property
    def needs_documents(self) -> bool:
        """Whether whole documents are printed or asked."""
        return not self.is_table and self.name != "name"


TABLE: Final = Format()


class _Format(click.ParamType[Format]):
    name = "format"

    def convert(
        self, value: str | Format, param: click.Parameter | None, ctx: click.Context | None
    ) -> Format:
        if isinstance(value, Format):
            return value
        # kubectl takes -o=json as well as -o json.
        name, equals, argument = value.removeprefix("=").partition("=")
        if name in PLAIN and not equals:
            return Format(name)
        if name in FROM_FILE and argument:
            try:
                return Format(
                    name.removesuffix("-file"), Path(argument).read_text(encoding="utf-8").strip("\n")
                )
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"{argument} cannot be read: {error}", param, ctx)
        if name in EXAMPLES and argument:
            return Format(name, argument)
        if name in EXAMPLES:
            self.fail(f"{name} needs a value; write, for example, -o {EXAMPLES[name]}", param, ctx)
        known = ", ".join((*PLAIN, *(f"{each}=…" for each in (*WITH_ARGUMENT, *FROM_FILE))))
        raise click.BadParameter(f"there is no format {name!r}; there are: {known}", ctx, param)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        known = (*PLAIN, *(f"{each}=" for each in (*WITH_ARGUMENT, *FROM_FILE)))
        return [click.shell_completion.CompletionItem(each) for each in known if each.startswith(incomplete)]


def format_option() -> Callable[[Decorated], Decorated]:
    """The option `-o/--output` with all formats; the verb gets `output`, which is TABLE when it is not given."""
    return click.option(
        "-o",
        "--output",
        type=_Format(),
        default=TABLE,
        show_default=False,
        help="Another format: wide (more columns), json, yaml, name (vaultservice/NAME), jsonpath=TEMPLATE, "
        "jsonpath-as-json=TEMPLATE, custom-columns=TITLE:PATH,…, or jsonpath-file=FILE, custom-columns-file=FILE.",
    )


def write_documents(
    output: Format, documents: Sequence[Mapping[str, Any]], *, one: bool, with_headers: bool
) -> None:
    """Write documents in a format that needs them; `one` without the list around it. Raises QueryError for a template or
    a column that is not valid.
    """
    if output.name == "custom-columns":
        click.echo(_custom(output.argument, documents, with_headers=with_headers))
        return
    data = documents[0] if one and documents else listed(documents)
    if output.name == "jsonpath":
        from reconciler.api.query.jsonpath import render, template

        # As kubectl does it, without a line end that the template does not have.
        click.echo(printable(render(template(output.argument), data)), nl=False)
    elif output.name == "jsonpath-as-json":
        from reconciler.api.query.jsonpath import results, template

        write("json", [value for found in results(template(output.argument), data) for value in found], str)
    else:
        write(output.name, data, str)


def _custom(spec: str, documents: Sequence[Mapping[str, Any]], *, with_headers: bool) -> str:
    from reconciler.app.columns import cells, custom_columns

    columns = custom_columns(" ".join(spec.split("\n")))
    rows = [[printable(cell).replace("\n", " ") for cell in cells(each, columns)] for each in documents]
    text = table([column.title for column in columns], rows)
    return text if with_headers else text.partition("\n")[2]
