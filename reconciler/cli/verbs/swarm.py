"""`vaultctl swarm`: the controller as a service of a Docker Swarm."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, say, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb, VerbGroup

if TYPE_CHECKING:
    from reconciler.engines.swarm.controller import ControllerService, ControllerTask

IMAGE: Final = "vault-reconciler/controller:latest"
LOOK_SECONDS: Final = 0.2
FAILED: Final = ("failed", "rejected")


@click.group(
    "swarm",
    cls=VerbGroup,
    short_help="Install, show, upgrade and uninstall the controller of a Docker Swarm.",
)
def command() -> None:
    """The controller as a service of a Docker Swarm; these commands run on a manager.

    Swarm keeps one of it on some manager. When its node is lost, it goes on elsewhere: with the manifests of Git, or with
    the objects that it has kept in the Swarm. See docs/swarm.md.
    """


def _timeout() -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--timeout", type=DURATION, default="2m", show_default=True, help="How long to wait until it runs."
    )


@command.command(
    "install",
    cls=Verb,
    short_help="Run the controller as a service of this Swarm.",
    examples=[
        ("vaultctl swarm install", "with what `vaultctl apply` stores there"),
        ("vaultctl swarm install -- --git https://git.example.com/infra --path apps", "following Git"),
        (
            "vaultctl swarm install --secret git-token -- --git https://git.example.com/infra "
            "--git-credentials /run/secrets/git-token",
            "with a secret of the Swarm as a file",
        ),
    ],
)
@click.option("--image", default=IMAGE, show_default=True, help="Image of the controller.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="Mount a secret of the Swarm as /run/secrets/NAME.",
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable, such as VAULT_AGE_KEYS."
)
@_timeout()
@click.argument("arguments", nargs=-1, metavar="[-- OPTIONS...]")
@pass_session
def install(
    session: Session,
    image: str,
    secrets: Sequence[str],
    variables: Sequence[str],
    timeout: float,
    arguments: Sequence[str],
) -> None:
    """Run the controller as a service of this Swarm, with these OPTIONS of `vaultctl run`, and wait until it runs.

    Its state directory is the one of --state-dir on the node where it runs, which is created there if it is missing.
    """
    from reconciler.engines.swarm.controller import Wish
    from reconciler.wiring.swarm import controller_service

    if wrong := next((each for each in variables if "=" not in each), None):
        raise click.BadParameter(f"{wrong!r} is not NAME=VALUE", param_hint="--env")
    environment = dict(each.split("=", 1) for each in variables)
    wish = Wish(image, session.state_dir.absolute(), arguments, secrets, environment)
    service = controller_service(session.application)
    service.install(wish)
    _wait_until_running(service, "", timeout)


@command.command(
    "status",
    cls=Verb,
    short_help="Show where the controller runs, and who holds the lease.",
    examples=[
        ("vaultctl swarm status", "node, image, lease, kept objects"),
        ("vaultctl swarm status -o json", "for scripts"),
    ],
)
@output_option("json", "yaml")
@pass_session
def status(session: Session, output: str | None) -> None:
    """Show the service of the controller, the holder of the lease, and the kept objects. Exit code 1: it does not run."""
    from reconciler.engines.swarm.controller import NAME
    from reconciler.wiring.swarm import controller_service, kept_objects, lease

    application = session.application
    task, held = controller_service(application).task(), lease(application)
    document = {
        "service": NAME,
        "installed": task is not None,
        "state": task.state if task else "",
        "node": task.node if task else "",
        "image": task.image if task else "",
        "problem": task.problem if task else "",
        "leaseHolder": held.node if held and held.holder else "",
        "leaseTerm": held.term if held else 0,
        "keptObjects": sorted(kept_objects(application)),
    }
    lines = [
        f"{key}: {', '.join(value) if isinstance(value, list) else value}" for key, value in document.items()
    ]
    write(output, document, lambda: "\n".join(lines))
    if task is None or task.state != "running":
        raise SystemExit(1)


@command.command(
    "upgrade",
    cls=Verb,
    short_help="Run another image of the controller.",
    examples=[
        ("vaultctl swarm upgrade --image registry.example.com/controller:2", "no service is replaced by it")
    ],
)
@click.option("--image", required=True, help="Image of the controller.")
@_timeout()
@pass_session
def upgrade(session: Session, image: str, timeout: float) -> None:
    """Stop the controller, run the other image, and wait until it runs. Services keep running meanwhile."""
    from reconciler.wiring.swarm import controller_service

    service = controller_service(session.application)
    before = service.task()
    service.upgrade(image)
    _wait_until_running(service, before.id if before else "", timeout)


@command.command(
    "uninstall",
    cls=Verb,
    short_help="Remove the controller from this Swarm.",
    examples=[
        ("vaultctl swarm uninstall", "services keep running, and `install` goes on with them"),
        ("vaultctl swarm uninstall --delete-services", "and delete all services; volumes stay"),
    ],
)
@click.option("--delete-services", is_flag=True, help="Delete all services, too; their volumes stay.")
@_timeout()
@pass_session
def uninstall(session: Session, delete_services: bool, timeout: float) -> None:
    """Remove the service of the controller. The key of revisions and the kept objects stay in the Swarm; users, tokens,
    authorities and certificates that were kept there are removed with their key, and stay on the controller's last node.

    HAProxies run on as they are; those on other nodes also after --delete-services, which says so.
    """
    from reconciler.wiring.swarm import controller_service
    from reconciler.wiring.swarm import delete_services as delete

    application = session.application
    service = controller_service(application)
    say("the controller is removed" if service.uninstall() else "there is no controller")
    deadline = time.monotonic() + timeout
    while not service.has_ended():
        if time.monotonic() > deadline:
            raise Failure(f"the controller still runs after {timeout:g} s")
        time.sleep(LOOK_SECONDS)
    if service.forget_state():
        say(
            "users, tokens, authorities and certificates are no longer kept in the Swarm; its key of them is removed"
        )
    if delete_services:
        for project in delete(application, deadline):
            say(f"{project} is deleted")


def _wait_until_running(service: ControllerService, before: str, timeout: float) -> None:
    """Wait for another task than `before`. Raises Failure with what Swarm says."""
    from reconciler.engines.swarm.controller import NAME

    deadline = time.monotonic() + timeout
    task: ControllerTask | None = None
    while time.monotonic() < deadline:
        task = service.task()
        if task and task.id != before and task.state == "running":
            say(f"the controller runs on {task.node}: {task.image}")
            return
        time.sleep(LOOK_SECONDS)
    said = f": {task.state}: {task.problem}" if task else ""
    raise Failure(f"the controller does not run after {timeout:g} s{said}; see: docker service logs {NAME}")
