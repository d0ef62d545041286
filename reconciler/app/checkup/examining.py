"""All checks of `vaultctl doctor`, in the order of their findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reconciler.api.errors import VaultError
from reconciler.app.checkup import gateways, machine, services
from reconciler.app.checkup.engine import check_engine, has_userland_proxy
from reconciler.app.checkup.finding import Finding, fail, ok, warn
from reconciler.app.checkup.keys import check_keys
from reconciler.app.checkup.swarm import check_swarm

if TYPE_CHECKING:
    from reconciler.sealed import SettingsFiles
    from vault_plugins.registry import Registry

__all__ = ["Examined", "examine"]


class Examined(services.Services, gateways.Gateways, Protocol):
    """What is examined beside the machine."""

    @property
    def registry(self) -> Registry:
        """The plugins there are."""

    @property
    def settings(self) -> SettingsFiles:
        """The settings files of services, with the keys of those that are encrypted."""

    def has_lost_key(self) -> bool:
        """Whether containers may run under a revision key that no longer exists."""

    def controller_is_running(self) -> bool:
        """Whether a controller works on the state directory."""


def examine(application: Examined, state: Path, now: datetime) -> Iterator[Finding]:
    """Check the engine, this machine with the directory `state`, and the needs of the stored services."""
    answers = False
    try:
        info = application.engine.info()
    except VaultError as error:
        yield fail(
            "engine", str(error), "start Docker (`make engine` installs and starts one), or set DOCKER_HOST"
        )
    else:
        answers = True
        one_node = application.engine.capabilities.one_node
        yield from check_engine(info, has_userland_proxy(_command_lines()), one_node=one_node)
        yield from machine.check_disk("engine", Path(info.data_directory))
    if answers:
        yield from _swarm(application)
    yield from machine.check_disk("state", state)
    yield from machine.check_state_directory(state)
    yield from machine.check_clock(state, now)
    yield from services.check_plugins(application.registry)
    yield from check_keys(application.settings.keyring)
    try:
        names = application.objects.names()
    except VaultError as error:
        yield fail("services", str(error), "see the finding about the state directory above")
        return
    yield from machine.check_revision_key(state, lost=application.has_lost_key())
    yield from _controller(application, names)
    for name in names:
        yield from services.check_service(application, name, with_engine=answers)
    yield from gateways.check_gateways(application, now, with_engine=answers)


def _swarm(application: Examined) -> Iterator[Finding]:
    nodes = application.engine.nodes
    try:
        facts = nodes.facts()
        if facts is not None:
            yield from check_swarm(nodes.all(), nodes.placed(), facts)
    except VaultError as error:
        yield fail("swarm", str(error), "see docs/runbooks/VaultQuorumAtRisk.md if managers are away")


def _controller(application: Examined, names: Sequence[str]) -> Iterator[Finding]:
    if application.controller_is_running():
        yield ok("controller", "is running")
    elif names:
        yield warn("controller", "is not running: failures are not repaired", "start `vaultctl run`")


def _command_lines() -> Iterator[list[str]]:
    """The command lines of this machine's processes, as far as they are visible."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        yield process.info["cmdline"] or []
