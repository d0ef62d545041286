"""A verb of the command line: a click command that has examples, knows the global options and reports its errors.

`vaultctl <verb> --help` ends with examples because users look for them there; a test requires them.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final

import click

from reconciler.cli.errors import Failure, reported_as
from reconciler.cli.global_options import global_options
from reconciler.cli.session import Session

__all__ = ["Example", "Verb", "VerbGroup"]

Example = tuple[str, str]
"""A command line, and its purpose."""

POINTER: Final = "Options of every command: vaultctl --help"


class Verb(click.Command):
    """One command of `vaultctl`. `failure` is the type of its errors."""

    def __init__(
        self, *args: Any, examples: Sequence[Example] = (), failure: type[Failure] = Failure, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.failure = failure

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own parameters, then the global options, which its help leaves to `vaultctl --help`."""
        own = super().get_params(ctx)
        taken = {name for each in own for name in each.opts}
        return [*own, *(each for each in global_options(hidden=True) if not taken & set(each.opts))]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; expected errors become a Failure."""
        session = ctx.ensure_object(Session)
        if session.is_remote:
            _check_remote(session, ctx)
        try:
            with reported_as(self.failure, debug=session.debug, hide=session.hide):
                return super().invoke(ctx)
        finally:
            session.close()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, since a wrapped command line cannot be copied."""
        if self.examples:
            with formatter.section("Examples"):
                for command, purpose in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}# {purpose}\n")
                    formatter.write(f"{'':{formatter.current_indent}}{command}\n")
        formatter.write_paragraph()
        formatter.write_text(POINTER)


def _check_remote(session: Session, ctx: click.Context) -> None:
    """Raises Failure for a verb that does not work over the API."""
    from reconciler.cli.remote.verbs import WORKS, refusal

    # Without the name of the program, and with the name of a group: "rollout status".
    verb = ctx.command_path.partition(" ")[2]
    session.is_local = verb not in WORKS
    if said := refusal(verb):
        raise Failure(said)


class VerbGroup(click.Group):
    """A group of verbs; for a mistyped one the error names the nearest."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that `args` starts with. Raises click.UsageError that names the nearest one."""
        wanted = args[0]
        names = self.list_commands(ctx)
        if not ctx.resilient_parsing and wanted not in names and not wanted.startswith("-"):
            near = difflib.get_close_matches(wanted, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
            raise click.UsageError(f"there is no command {wanted!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)
