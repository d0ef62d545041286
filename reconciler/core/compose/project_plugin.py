"""A Compose file in the place of a plugin: to all that follows it is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.compose_file import COMPOSE
from reconciler.core.compose.project import Adapted
from vault_plugins.contract import VaultServicePlugin


class ProjectPlugin(VaultServicePlugin):
    """What a Compose file comes to, with the settings of a plugin."""

    def __init__(self, adapted: Adapted) -> None:
        self._adapted = adapted
        self.single_writer = adapted.writes
        self.metadata = VaultServicePlugin.Metadata(
            name="Compose file",
            slug=COMPOSE,
            default_port=adapted.port,
            description="A service that a Compose file describes.",
        )

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        return self._adapted.fragment

    def get_containers(self) -> tuple[str, ...]:
        return (self._adapted.web,)

    def resolve_replicas(self, env: Mapping[str, str]) -> int:
        """`VAULT_WEB_REPLICAS`, or what the Compose file says."""
        stated = self._adapted.replicas
        return super().resolve_replicas({"VAULT_WEB_REPLICAS": str(stated if stated else 1), **env})
