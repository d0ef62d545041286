"""`vaultctl adopt`: take over a running Compose project, and give it back."""

from __future__ import annotations

import os
from collections.abc import Iterable
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
    from reconciler.app.finding_projects import Planned
    from reconciler.core.adoption.record import Adoption
    from reconciler.wiring import Application

FILE: Final = click.Path(path_type=Path, dir_okay=False)
PORT: Final = click.IntRange(1, 65535)


@click.command(
    "adopt",
    cls=Verb,
    short_help="Take over a running Compose project.",
    examples=[
        ("vaultctl adopt shop", "only the plan: what is taken over, in which order, how long each is away"),
        ("vaultctl adopt shop --yes", "do it, or continue after an interruption"),
        (
            "vaultctl adopt shop --http 8081 --beside --yes",
            "both answer, until the command is repeated without it",
        ),
        ("vaultctl adopt shop/compose.yaml --web app --http 8080 --yes", "the project that runs from a file"),
        ("vaultctl adopt shop -o json", "the plan, for scripts"),
        ("vaultctl adopt shop --undo --yes", "back to the former containers"),
        ("vaultctl adopt shop --finish", "remove the former containers; their volumes stay"),
    ],
)
@click.argument("target", metavar="PROJECT|FILE")
@click.option("--name", default="", help="The name of the service; that of the project without it.")
@click.option("--web", help="The service of the Compose file that answers requests.")
@click.option("--port", type=PORT, help="The port that it listens on, in its container.")
@click.option(
    "--http", type=PORT, help="The port of this machine for HAProxy; that of the web service without it."
)
@click.option("--profile", "profiles", multiple=True, help="A profile of the Compose file that is active.")
@click.option("--leave", multiple=True, help="A service whose anonymous volumes may stay behind.")
@click.option("--manifest", type=FILE, help="The manifest; NAME.yaml beside the Compose file without it.")
@click.option(
    "--beside",
    is_flag=True,
    help="Stop when the new web containers answer, and leave the former ones alone, so that clients can move.",
)
@click.option("--undo", is_flag=True, help="Go back to the former containers.")
@click.option(
    "--finish", "ends", is_flag=True, help="Remove the former containers, after which there is no way back."
)
@click.option("-y", "--yes", is_flag=True, help="Do it; without this, only the plan is shown.")
@click.option(
    "--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait for each step."
)
@output_option("json", "yaml")
@pass_session
def command(
    session: Session,
    target: str,
    name: str,
    web: str | None,
    port: int | None,
    http: int | None,
    profiles: tuple[str, ...],
    leave: tuple[str, ...],
    manifest: Path | None,
    beside: bool,
    undo: bool,
    ends: bool,
    yes: bool,
    timeout: float,
    output: str | None,
) -> None:
    """Make a VaultService of a Compose project that runs on this machine. PROJECT is its name, FILE its Compose file.

    Shows a plan first. Its volumes and networks stay what they are; no volume is copied or removed. The former containers
    are kept, stopped, until --finish, and --undo starts them again. Killed at any point, the same command continues.
    """
    from reconciler.app.adopting import finish
    from reconciler.app.finding_projects import Request, find_plan

    application = session.application
    if undo + ends + beside > 1:
        raise click.UsageError("--beside, --undo and --finish exclude each other")
    file = Path(target) if os.sep in target or Path(target).is_file() else None
    record = _recorded(application, target, file, name)
    if ends:
        done = finish(_needed(record, target), application.foreign, application.adoptions)
        say(f"the former containers of {done.project} are removed; their volumes stay")
        return
    if undo:
        _undo(application, _needed(record, target), timeout, yes=yes, output=output)
        return
    if record is not None and not record.is_released:
        _continue(application, record, target, timeout, beside=beside, yes=yes, output=output)
        return
    request = Request(
        project="" if file else target,
        file=file,
        name=name,
        web=web,
        port=port,
        http=http,
        profiles=profiles,
        left=frozenset(leave),
        output=manifest,
    )
    planned = find_plan(request, application.foreign, application.projects.read, application.build_adopted)
    if beside:
        _check_beside(planned.plan.record)
    write(output, planned.plan.document, lambda: _text(planned))
    if not yes:
        say(f"nothing was changed; do it: vaultctl adopt {target} --yes")
        return
    _begin(application, planned)
    _take(application, planned.plan.record, target, timeout, seen=record, beside=beside)


def _recorded(application: Application, target: str, file: Path | None, name: str) -> Adoption | None:
    """The record of the project, or of the service of that name."""
    journal = application.adoptions
    projects = application.foreign.projects_of(file.absolute()) if file else (target,)
    for each in journal.names():
        record = journal.get(each)
        if record and (record.project in projects or each in (target, name)):
            return record
    return None


def _needed(record: Adoption | None, target: str) -> Adoption:
    if record is None or record.is_released:
        raise Failure(f"{target} was not adopted on this machine (its record is in the state directory)")
    return record


def _begin(application: Application, planned: Planned) -> None:
    """Refuse what is in the way, and write the manifest."""
    record, path = planned.plan.record, Path(planned.plan.record.manifest)
    other = application.adoptions.get(record.name)
    if other is not None and other.project != record.project:
        raise Failure(
            f"{record.name} was adopted from project {other.project}; choose another name with --name"
        )
    if application.objects.get(record.name) is not None:
        raise Failure(f"there is a service {record.name} already; choose another name with --name")
    if path.exists() and path.read_text(encoding="utf-8") != planned.text:
        raise Failure(f"{path} exists already; choose another one with --manifest")
    path.write_text(planned.text, encoding="utf-8")
    click.echo(path)


def _check_beside(record: Adoption) -> None:
    if record.waits:
        raise Failure(
            f"{record.web} writes to a volume, so no new container starts beside the former ones; leave --beside out"
        )
    if not record.may_stay_beside:
        raise Failure(f"the former containers of {record.web} have ended already; leave --beside out")


def _take(
    application: Application,
    record: Adoption,
    target: str,
    timeout: float,
    *,
    seen: Adoption | None,
    beside: bool,
) -> None:
    """Take the steps that are left, those until both sides answer if they are to stay `beside` each other."""
    from reconciler.cli.adoption_steps import take
    from reconciler.core.adoption.record import Stage

    take(application, record, timeout, seen=seen, last=Stage.BESIDE if beside else None)
    after = application.adoptions.get(record.name)
    if after is None or after.stage is not Stage.BESIDE:
        _say_done(application, record.name)
        return
    stored = application.objects.get(record.name)
    port = record.beside or (stored.resource.spec.ports.http if stored else 0)
    say(
        f"{record.web} answers on port {port} as well; when the clients have moved there, continue: "
        f"vaultctl adopt {target} --yes"
    )


def _continue(
    application: Application,
    record: Adoption,
    target: str,
    timeout: float,
    *,
    beside: bool,
    yes: bool,
    output: str | None,
) -> None:
    if record.is_leaving:
        raise Failure(f"{record.name} {record.closed}")
    if not record.is_under_way:
        kept = "; the former containers are kept: --finish removes them, --undo goes back"
        say(f"project {record.project} is adopted as {record.name}{kept if record.former else ''}")
        return
    if not yes:
        title = f"project {record.project} is being adopted as {record.name}; what is left:"
        _show(output, record, title)
        say(f"nothing was changed; continue: vaultctl adopt {target} --yes")
        return
    if beside:
        _check_beside(record)
    _take(application, record, target, timeout, seen=record, beside=beside)


def _undo(
    application: Application, record: Adoption, timeout: float, *, yes: bool, output: str | None
) -> None:
    from reconciler.cli.adoption_steps import take
    from reconciler.core.adoption.steps import undoing

    if record.is_being_released:
        raise Failure(f"{record.name} {record.closed}")
    try:
        back = undoing(record)
    except ValueError as error:
        raise Failure(
            f"there is no way back: {error}; vaultctl release {record.name} makes a Compose project"
        ) from None
    if not yes:
        _show(output, back, f"back to project {record.project}; nothing answers requests meanwhile:")
        say("nothing was changed; do it with --yes")
        return
    take(application, back, timeout, seen=record)
    say(f"project {record.project} runs again by itself; {record.manifest} is left, remove it")


def _show(output: str | None, record: Adoption, title: str) -> None:
    """The steps of a record that are left."""
    from reconciler.core.adoption.steps import steps

    left = [str(step) for step in steps(record)]
    data = {"project": record.project, "name": record.name, "stage": str(record.stage), "steps": left}
    write(output, data, lambda: "\n".join([title, *_numbered(left)]))


def _say_done(application: Application, name: str) -> None:
    record = application.adoptions.get(name)
    if record is not None:
        names = ", ".join(each.name for each in record.former)
        say(
            f"{record.project} is adopted as {name}; {names} are kept, stopped: --finish removes them, --undo goes back"
        )


def _numbered(lines: Iterable[object]) -> list[str]:
    return [f"  {number}. {printable(str(line))}" for number, line in enumerate(lines, 1)]


def _text(planned: Planned) -> str:
    plan, record = planned.plan, planned.plan.record
    parts = [
        f"project {record.project} becomes vaultservice/{record.name} ({record.manifest})",
        f"keeps volumes: {', '.join(sorted(record.volumes)) or 'none'}",
        f"keeps networks: {', '.join(sorted(record.networks)) or 'none'}",
        "in this order:",
        *_numbered(plan.takeovers),
    ]
    if others := [*plan.notes, *planned.warnings]:
        parts += ["otherwise than in the project:", *(indented(each) for each in others)]
    return printable("\n".join(parts))
