"""What is computed of the objects for those who ask: the same for the command line, and for the Kubernetes API.

`vaultctl --server` has another implementation with the same methods, which asks the API (cli/remote/views.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.app.checkup.examining import Examined
from reconciler.app.images import Images

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.api.kinds import Ref
    from reconciler.app.certificates import Certificate
    from reconciler.app.changes import Change
    from reconciler.app.checkup.finding import Finding
    from reconciler.app.routes import RouteLine
    from reconciler.controller.reconcile.routing import Routing
    from reconciler.controller.report.board import Exporter
    from reconciler.core.assess.assessment import Assessment
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.front import FrontDoor
    from reconciler.registry.base import Registries
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Viewed", "Views"]


class _Options(Protocol):
    @property
    def state_dir(self) -> Path:
        """Where the objects are."""


class _Proxies(Protocol):
    @property
    def front(self) -> FrontDoor:
        """Where the proxies of a stack are."""


class Viewed(Images, Examined, Protocol):
    """A state directory, its engine and its registries."""

    @property
    def options(self) -> _Options:
        """What it was wired with."""

    @property
    def objects(self) -> Objects:
        """The objects of all kinds."""

    @property
    def proxy(self) -> _Proxies:
        """The proxies of services."""

    def observe(self, stack: Stack) -> Assessment:
        """One observation. Raises VaultError."""

    def gateway_exporters(self, warn: Callable[[str], None]) -> Iterator[Exporter]:
        """The metrics addresses of the HAProxies of gateways; `warn` is told of what cannot be observed."""


class Views:
    """The views of a state directory; `warn` is told of what cannot be read or observed."""

    def __init__(self, application: Viewed, now: Callable[[], datetime], warn: Callable[[str], None]) -> None:
        self._application = application
        self._now = now
        self._warn = warn

    def revisions(self, ref: Ref) -> list[dict[str, Any]]:
        """The documents of the rollouts of an object, oldest first."""
        from reconciler.app.documents import revision_documents

        return revision_documents(self._application.history.of(ref.kind).revisions(ref.name))

    def undo(self, stored: StoredObject[Any], number: int | None) -> Change:
        """The change back to a revision, without a number to the last complete one before the present one. Raises
        VaultError.
        """
        from reconciler.app import changes

        records = self._application.history.of(stored.ref.kind).revisions(stored.name)
        return changes.undo(stored, records, number)

    def routes(self, services: Collection[str] = ()) -> list[RouteLine]:
        """The routes of these services, or of all."""
        from reconciler.app.certificates import certificates
        from reconciler.app.routes import routes

        objects, routing = self._application.objects, self._routing()
        found = certificates(objects, routing, self._now(), self._warn)
        return routes(objects, routing, found, services)

    def certificates(self) -> list[Certificate]:
        """The certificate of each host of a gateway that is to have one."""
        from reconciler.app.certificates import certificates

        return certificates(self._application.objects, self._routing(), self._now(), self._warn)

    def renew(self, chosen: Sequence[Certificate]) -> None:
        """Ask for new certificates. Raises VaultError, before anything is asked for, for one that no server issues."""
        from reconciler.app.certificates import request_renewal

        request_renewal(self._application.objects, chosen, self._now())

    def images(
        self, services: Sequence[str] = (), registries: Registries | None = None
    ) -> list[dict[str, Any]]:
        """The documents of the images of these services, or of all; other `registries` than those of the machine may be
        asked. Raises VaultError for a service that is not there.
        """
        from reconciler.app.finding import existing_service
        from reconciler.app.images import image_document, images

        objects = self._application.objects
        chosen = [existing_service(objects, name, "images") for name in services or objects.names()]
        asked = registries or self._application.registries
        return [image_document(line) for line in images(self._application, chosen, self._now(), asked)]

    def findings(self) -> list[Finding]:
        """What is to be said about the engine, the machine, and the needs of services."""
        from reconciler.app.checkup.examining import examine

        return list(examine(self._application, self._application.options.state_dir, self._now()))

    def exporters(self) -> list[Exporter]:
        """Where every HAProxy that runs now serves its own metrics."""
        from reconciler.app.scraping import running_exporters

        on = self._application
        found = running_exporters(on.objects, on.build, on.observe, on.proxy.front, self._warn)
        return [*found, *on.gateway_exporters(self._warn)]

    def _routing(self) -> Routing:
        from reconciler.controller.reconcile.routing import settle_objects

        return settle_objects(self._application.objects, self._application.permits)
