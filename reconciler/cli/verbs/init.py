"""`vaultctl init`: write the first manifest of a service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.cli.output import say, warn
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.beginning import Draft

PRIVATE: Final = 0o600
FILE: Final = click.Path(path_type=Path, dir_okay=False)
EXISTING: Final = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    "init",
    cls=Verb,
    short_help="Write the first manifest of a service.",
    examples=[
        ("vaultctl init --from-compose app/compose.yaml", "a service that a Compose file describes"),
        ("vaultctl init --from-env .env", "one of the original Leyzen Vault"),
        ("vaultctl init files --plugin whoami --replicas 2 --port 8080", "one of a plugin"),
        (
            "vaultctl init --from-compose app/compose.yaml --git",
            "committed, in a new repository if there is none",
        ),
    ],
)
@click.argument("name", required=False)
@click.option("--from-compose", "compose", type=EXISTING, help="The Compose file of the service.")
@click.option(
    "--from-env", "variables", type=EXISTING, help="The original's file of settings (VAULT_SERVICE, …)."
)
@click.option("--plugin", help="The plugin of the service.")
@click.option("--replicas", type=click.IntRange(0, 1000), help="How many web replicas run.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port of this machine on which the service listens."
)
@click.option(
    "-o", "--output", type=FILE, help="The manifest; NAME.yaml in the working directory without it."
)
@click.option("--git", is_flag=True, help="Commit what is written, in a new Git repository if there is none.")
@pass_session
def command(
    session: Session,
    name: str | None,
    compose: Path | None,
    variables: Path | None,
    plugin: str | None,
    replicas: int | None,
    port: int | None,
    output: Path | None,
    git: bool,
) -> None:
    """Write the manifest of a service, after a check that it is valid: from a Compose file, from the `.env` of the
    original Leyzen Vault, or of a plugin. On a terminal it asks for what is missing.

    Guesses are written down, so that they can be changed. Settings go into a file of their own, NAME.env, which only its
    owner can read; `--git` keeps it out of the repository. Nothing is overwritten, and nothing invalid is written.
    """
    from reconciler.app.beginning import checked, text_of
    from reconciler.app.preparing import prepare

    draft = _draft(session, name or "", compose, variables, plugin, output)
    spec: dict[str, Any] = {**draft.spec, **({} if replicas is None else {"replicas": replicas})}
    if port is not None:
        spec["ports"] = {**spec.get("ports", {}), "http": port}
    path = output or Path(f"{draft.name}.yaml")
    settings = path.with_name(f"{draft.name}.env")
    text = text_of(type(draft)(draft.name, spec, draft.settings), settings.name)
    _refuse_existing(path, *([settings] if draft.settings else []))
    written = [path]
    try:
        if draft.settings:
            _write(settings, _settings_text(draft), PRIVATE)
            written.append(settings)
        (done,) = prepare(session.application.build, checked(text, path), warn)
        _write(path, text, 0o666)
    except BaseException:
        for each in written:
            each.unlink(missing_ok=True)
        raise
    for note in draft.notes:
        warn(note)
    for each in written:
        click.echo(each)
    say(f"{done.ref.label} is valid ({done.summary}); start it: vaultctl apply -f {path} --wait")
    if git:
        from reconciler.app.places import commit_new

        say(commit_new([path, *([compose] if compose else [])], f"Add {draft.name}", os.environ))


def _draft(
    session: Session,
    name: str,
    compose: Path | None,
    variables: Path | None,
    plugin: str | None,
    output: Path | None,
) -> Draft:
    from reconciler.app.beginning import Draft, draft_of_compose, draft_of_variables

    if (compose is not None) + (variables is not None) + (plugin is not None) > 1:
        raise click.UsageError("--from-compose, --from-env and --plugin exclude each other")
    if compose is not None:
        return draft_of_compose(compose, output or Path("x.yaml"), name, session.application.projects.read)
    if variables is not None:
        return draft_of_variables(variables, name)
    if plugin is None:
        _need_terminal("--from-compose, --from-env or --plugin")
        choice = click.Choice(sorted(session.registry.plugins))
        plugin = click.prompt("Plugin", type=choice, err=True)
    if not name:
        _need_terminal("the name of the service")
        name = click.prompt("Name of the service", default=plugin, err=True)
    return Draft(name, {"plugin": plugin})


def _need_terminal(missing: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"give {missing}; on a terminal, vaultctl init asks for it")


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise click.UsageError(f"{path} exists already; choose another name, or --output")


def _settings_text(draft: Draft) -> str:
    # Single quotes are literal in every dialect; a value with one is put into double quotes.
    return "".join(f"{name}={_quoted(value)}\n" for name, value in draft.settings.items())


def _quoted(value: str) -> str:
    if "'" not in value and "\n" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
