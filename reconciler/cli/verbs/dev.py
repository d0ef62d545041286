"""`vaultctl dev`: a controller that follows the directory in which an author works, and tells them what comes of a save."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.errors import Failure
from reconciler.cli.garbage import collect_as_usual
from reconciler.cli.output import say
from reconciler.cli.session import Session, pass_session
from reconciler.cli.signals import stop_on_signals
from reconciler.cli.verb import Verb
from reconciler.cli.verbs.logs import write_line

if TYPE_CHECKING:
    from reconciler.core.assess.observation import Container
    from reconciler.wiring import Application

LOOK_SECONDS: Final = 1.0
TAIL: Final = 10
REMOVAL_SECONDS: Final = 300.0


@click.command(
    "dev",
    cls=Verb,
    short_help="Apply a directory at each save, and show its logs.",
    examples=[
        ("vaultctl dev", "the plugins and manifests of this directory"),
        (
            "vaultctl dev plugins/my_service --rm",
            "those of another one, whose services are removed at the end",
        ),
        ("vaultctl dev . --state-dir /tmp/try", "beside a controller that runs on this machine"),
    ],
)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@click.option("--rm", "removes", is_flag=True, help="Remove its services at the end; their volumes stay.")
@pass_session
def command(session: Session, directory: Path, removes: bool) -> None:
    """Follow the plugins and manifests of DIRECTORY until Ctrl-C: check plugins, roll out what a save changes, and show
    the logs of the web replicas.

    It is the controller of `vaultctl run`: a save in the middle of a rollout takes its place, a mistake is told while what
    ran before goes on serving, and a manifest that is removed removes its service. A new plugin is found at the next start.

    Over the API, the manifests are applied to the controller there, which has plugins of its own: those of DIRECTORY are
    only checked.
    """
    from reconciler.app.converging import delete
    from reconciler.app.developing import plugin_roots, those_of
    from reconciler.sources.directory import DirectorySource

    directory = directory.absolute()
    session.plugin_path = (*plugin_roots(directory), *session.plugin_path)
    application = session.wire(verbose=True) if session.remote is None else session.application
    if session.remote is None and application.controller_is_running():
        raise Failure(
            f"a controller runs on {session.state_dir} already, without the plugins of {directory}: choose another "
            "--state-dir"
        )
    stop = stop_on_signals()
    controller = application.controller([DirectorySource(directory)], allow_empty=True)
    threading.Thread(
        target=_tell, args=(session, application, directory, stop), name="news", daemon=True
    ).start()
    collect_as_usual()
    say(f"following {directory}; Ctrl-C ends it{', and removes its services' if removes else ''}")
    controller.run(stop)
    if removes:
        for stored in list(those_of(directory, application.objects)):
            delete(application, stored.ref, volumes=False, timeout=REMOVAL_SECONDS, now=datetime.now(UTC))
            say(f"{stored.ref.label} was removed")


def _tell(session: Session, application: Application, directory: Path, stop: threading.Event) -> None:
    from reconciler.app.developing import Findings, States, those_of

    registry = application.registry if session.remote is None else session.registry
    findings = Findings(directory, registry, application.objects)
    states = States(directory, application.objects)
    shown: set[str] = set()
    with application.changes() as changes:
        while not stop.is_set():
            for line in (*findings.news(), *states.news()):
                say(line)
            for stored in those_of(directory, application.objects):
                if hasattr(stored.resource.spec, "replicas") and stored.name not in shown:
                    shown.add(stored.name)
                    follow = _following(session, application, stored.name)
                    threading.Thread(target=follow, name=f"logs of {stored.name}", daemon=True).start()
            changes.wait(LOOK_SECONDS)


def _following(session: Session, application: Application, name: str) -> Callable[[], None]:
    """Shows the lines of a service's web replicas, whichever they are."""
    from reconciler.api import VaultError
    from reconciler.app.logs import follow
    from reconciler.cli.containers import followed

    logs = application.engine if session.remote is None else session.remote.pods

    def look() -> list[Container]:
        # While its manifest is wrong there is no stack; what runs still writes.
        with suppress(VaultError):
            stored = application.objects.get(name)
            return [] if stored is None else followed(session, application, stored, None)[1]()
        return []

    def run() -> None:
        for container, line in follow(logs, look, TAIL):
            write_line(container.name, line)

    return run
