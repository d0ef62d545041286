"""`vaultctl release`: make a plain Compose project of a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, say, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import indented, printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.releasing import Release

DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)


@click.command(
    "release",
    cls=Verb,
    short_help="Make a plain Compose project of a service.",
    examples=[
        ("vaultctl release shop", "only the plan"),
        (
            "vaultctl release shop --directory shop --yes",
            "write shop/compose.yaml, and run it in place of the service",
        ),
        ("vaultctl release shop --forget", "the Compose project is gone, and the service may run again"),
    ],
)
@click.argument("name")
@click.option("--directory", type=DIRECTORY, help="Where compose.yaml is written; ./NAME without it.")
@click.option(
    "--project", default="", help="The name of the Compose project; that of the adopted one, or NAME."
)
@click.option("--http", type=click.IntRange(1, 65535), help="The port of this machine for the web service.")
@click.option(
    "--forget", "forgets", is_flag=True, help="Forget a release, so that the service may run again."
)
@click.option("-y", "--yes", is_flag=True, help="Do it; without this, only the plan is shown.")
@click.option(
    "--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait for each step."
)
@output_option("json", "yaml")
@pass_session
def command(
    session: Session,
    name: str,
    directory: Path | None,
    project: str,
    http: int | None,
    forgets: bool,
    yes: bool,
    timeout: float,
    output: str | None,
) -> None:
    """End the service NAME and run what it ran as a plain Compose project on the same volumes, without HAProxy.

    Nothing answers requests from the end of its HAProxy to the start of the web container. The record of it stays in the
    state directory, so that a manifest that is still followed does not start the service again. Killed at any point, the
    same command continues.
    """
    from reconciler.app.releasing import forget, plan_release
    from reconciler.cli.adoption_steps import take

    application = session.application
    record = application.adoptions.get(name)
    if forgets:
        forget(name, application.adoptions)
        say(f"the release of {name} is forgotten")
        return
    if record is not None and record.is_released:
        say(f"{name} was released to project {record.project} in {record.directory}")
        return
    seen = record
    if record is None or not record.is_being_released:
        stored = application.objects.get(name)
        if stored is None:
            raise Failure(f"there is no service {name}")
        stack = application.build(stored.resource)
        place = (directory or Path(name)).absolute()
        plan = plan_release(
            stored,
            application.objects.status(name),
            stack,
            record,
            application.foreign,
            directory=place,
            project=project,
            http=http,
            bind=application.options.bind,
        )
        write(output, plan.document, lambda: _text(plan))
        if not yes:
            say(f"nothing was changed; do it: vaultctl release {name} --yes")
            return
        record = plan.record
        application.write_compose(Path(record.file), plan.project.document)
        click.echo(record.file)
    elif not yes:
        raise Failure(f"{name} {record.closed}")
    take(application, record, timeout, seen=seen)
    say(f"project {record.project} runs from {record.file}; remove the manifest of {name}")


def _text(plan: Release) -> str:
    record = plan.record
    parts = [
        f"vaultservice/{record.name} becomes project {record.project} ({plan.document['file']})",
        f"keeps volumes: {', '.join(sorted(record.volumes)) or 'none'}",
        f"nothing answers requests while its containers end (at most {plan.stops:g} s) and these start, in this order: "
        f"{', '.join(plan.project.order)}",
    ]
    if plan.project.notes:
        parts += ["otherwise than now:", *(indented(note) for note in plan.project.notes)]
    return printable("\n".join(parts))
