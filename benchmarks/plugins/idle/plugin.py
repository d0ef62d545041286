"""Idle replicas without health checks, so that the controller is measured and not the containers."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin


class IdlePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Idle", slug="idle", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            "image": "vault-reconciler/whoami:latest",
            "healthcheck": {"disable": True},
            "networks": ["vault-net"],
            "deploy": {"replicas": self.resolve_replicas(env)},
            "init": True,
        }
        return {"services": {"idle": service}}

    def get_containers(self) -> list[str]:
        return ["idle"]
