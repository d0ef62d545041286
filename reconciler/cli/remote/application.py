"""What verbs see of a controller behind the API, in place of the `Application` over a state directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from reconciler.api.errors import PermanentError
from reconciler.cli.remote.connection import Connection
from reconciler.cli.remote.logins import RemoteTokens, RemoteUsers
from reconciler.cli.remote.objects import RemoteObjects
from reconciler.cli.remote.pods import RemotePods
from reconciler.cli.remote.records import RemoteRecords
from reconciler.cli.remote.target import Target
from reconciler.cli.remote.views import RemoteViews
from reconciler.cli.remote.watching import Watches, watching

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.api import Manifest, VaultService
    from reconciler.app.developing import Applying
    from reconciler.core.desired.stack import Stack
    from reconciler.sources.base import Source
    from reconciler.store.base import StoredObject

__all__ = ["RemoteApplication"]


class RemoteApplication:
    """The part of `wiring.Application` that works over the API; the rest is only on the controller's machine."""

    def __init__(self, target: Target) -> None:
        self._connection = Connection(target)
        self.target = target
        self.place = target.server
        self.objects = RemoteObjects(self._connection)
        self.object_views = self.objects
        self.pods = RemotePods(self._connection)
        self.views = RemoteViews(self._connection)
        self.tokens = RemoteTokens(self._connection, lambda: datetime.now(UTC))
        self.users = RemoteUsers(self._connection)
        self.history = RemoteRecords(self._connection, self.objects)

    def close(self) -> None:
        """Close the connection. Safe to repeat."""
        self._connection.close()

    def check(self, manifests: Sequence[Manifest]) -> None:
        """Have the controller check all of them before one is stored. Raises PermanentError with every refusal."""
        refused = []
        for each in manifests:
            resource = each.resource
            try:
                self.objects.of(resource.of_kind).check(resource)
            except PermanentError as error:
                refused.append(f"{each.path}:{each.line}: {error}")
        if refused:
            raise PermanentError("\n".join(refused))

    def node_documents(self) -> list[Mapping[str, Any]]:
        """The nodes of the controller's engine."""
        return self._connection.items("/api/v1/nodes")

    def controller_is_running(self) -> bool:
        """Yes: it serves the API."""
        return True

    def build(self, service: VaultService, base: Path) -> NoReturn:
        """Raises PermanentError: containers are not seen here."""
        raise PermanentError(f"type: kubectl get pods -o wide -l vault.internal/object={service.name}")

    def observe(self, stack: Stack) -> NoReturn:
        """Raises PermanentError. Never reached, since there is no stack."""
        raise PermanentError("containers are not seen over the API")

    def look_at_gateway(self, stored: StoredObject[Any]) -> NoReturn:
        """Raises PermanentError: containers are not seen here."""
        raise PermanentError(f"type: kubectl get pods -o wide -l vault.internal/object={stored.name}")

    def controller(self, sources: Sequence[Source], *, allow_empty: bool) -> Applying:
        """What applies the one source to the controller elsewhere; it says what it does."""
        from reconciler.app.developing import Applying
        from reconciler.cli.output import say

        (source,) = sources
        return Applying(source, self.objects, say, lambda: datetime.now(UTC))

    def changes(self) -> AbstractContextManager[Watches]:
        """Waits for changes of objects and statuses."""
        return watching(self._connection, self.objects)

    def __getattr__(self, name: str) -> NoReturn:
        """Raises PermanentError. Verbs that would come here are refused before; see `remote.verbs`."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise PermanentError(f"{name} is only on the machine of {self.place}: run this there")
