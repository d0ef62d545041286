"""The one node of an engine with Compose: its machine."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.plan.draining import Placed
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import RefusedError
from reconciler.engines.nodes import ONE_NODE, Availability, Drain, Node, SwarmFacts

__all__ = ["ComposeNodes"]


class ComposeNodes:
    """The machine of an engine. Threads may share it."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api

    def all(self) -> Sequence[Node]:
        """The machine."""
        facts = self._api.read("say what it is", "/info")
        name = str(facts.get("Name", ""))
        machine = Node(
            id=str(facts.get("ID") or name),
            name=name,
            is_own=True,
            is_leader=True,
            cpus=int(facts.get("NCPU") or 0),
            memory=int(facts.get("MemTotal") or 0),
            kernel=str(facts.get("KernelVersion", "")),
            system=str(facts.get("OperatingSystem", "")),
            platform=str(facts.get("OSType") or "linux"),
            architecture=str(facts.get("Architecture", "")),
            engine=str(facts.get("ServerVersion", "")),
        )
        return (machine,)

    def volumes(self, node: str) -> Sequence[tuple[str, str]]:
        """None: with one node, all volumes are on it."""
        return ()

    def facts(self) -> SwarmFacts | None:
        """None."""
        return None

    def placed(self) -> Sequence[Placed]:
        """None: there is nowhere else, so nothing asks."""
        return ()

    def change(self, node: str, availability: Availability, drain: Drain | None) -> None:
        """Raises RefusedError: there is no other node."""
        raise RefusedError(ONE_NODE)

    def leave(self, node: str) -> bool:
        """Raises RefusedError: there is no other node."""
        raise RefusedError(ONE_NODE)
