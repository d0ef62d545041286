"""Checks the needs of services: their plugins, settings files, images and ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reconciler.api import VaultError
from reconciler.app.checkup.finding import Finding, fail, ok, warn
from reconciler.sealed import readable_by_others

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.core.assess.observation import EngineObservation
    from reconciler.core.desired.stack import Stack
    from reconciler.engines.base import Engine
    from reconciler.sealed.runtime import RuntimeFiles
    from reconciler.store.base import Objects
    from vault_plugins.registry import Registry

__all__ = ["Services", "check_needs", "check_plugins", "check_service", "check_settings_files"]


class Services(Protocol):
    """Stored services, their stacks and their engine."""

    @property
    def objects(self) -> Objects:
        """The services."""

    @property
    def engine(self) -> Engine:
        """Where they run."""

    @property
    def runtime_files(self) -> RuntimeFiles:
        """Where the files of spec.secrets are."""

    def build(self, service: VaultService, base: Path = ...) -> Stack:
        """The stack of a service; `base` is where its relative files are. Raises VaultError."""


def check_plugins(registry: Registry) -> Iterator[Finding]:
    """Whether every plugin that was found can be used."""
    for broken in registry.broken.values():
        yield warn("plugins", str(broken), "fix it, or remove its directory from the plugin path")
    yield ok("plugins", ", ".join(registry.plugins) or "there are none")


def check_service(application: Services, name: str, *, with_engine: bool) -> Iterator[Finding]:
    """All checks of one stored service; those that ask the engine only `with_engine`."""
    check = f"service: {name}"
    try:
        stored = application.objects.get(name)
        if stored is None:
            return
        yield from check_settings_files(check, stored.resource)
        stack = application.build(stored.resource, stored.origin.manifest.parent)
        if stack.secret_files:
            application.runtime_files.check()
        if with_engine:
            yield from check_needs(check, stack, application.engine.observe(stack))
        else:
            yield ok(check, f"its plugin {stored.resource.spec.plugin} builds a stack")
    except VaultError as error:
        yield fail(check, str(error), f"fix its manifest; `vaultctl describe {name}` says where it is")


def check_settings_files(check: str, service: VaultService) -> Iterator[Finding]:
    """Whether only their owner can read the files with secrets that a service names."""
    for file in service.secret_files.values():
        path = Path(file)
        # The build reports a missing file, with what to do.
        if path.exists() and (warning := readable_by_others(path)):
            yield warn(check, warning.message, warning.fix)


def check_needs(check: str, stack: Stack, observed: EngineObservation) -> Iterator[Finding]:
    """Whether images are present and the published port is free, or already used by this service."""
    missing = sorted(observed.missing_images)
    for image in missing:
        yield warn(check, f"image {image} is not on this machine and will be pulled", f"docker pull {image}")
    for port, owner in sorted(observed.taken_ports.items()):
        yield fail(check, f"port {port} is taken by {owner}", "stop that, or choose another spec.ports.http")
    if not missing and not observed.taken_ports:
        its_port = f", port {stack.published} is free or its own" if stack.published else ""
        yield ok(check, f"images are here{its_port}")
