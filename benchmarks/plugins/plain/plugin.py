"""The demo's web server without a Docker health check, so that HAProxy's own check decides who is ready.

Docker runs a process in the container for each check. Several a second in many starting replicas would use up two cores; a
check of HAProxy is one request and costs almost nothing.
"""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin


class PlainPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Plain", slug="plain", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            "image": "vault-reconciler/whoami:latest",
            "environment": {key: value for key, value in env.items() if not key.startswith("VAULT_")},
            "healthcheck": {"disable": True},
            "networks": ["vault-net"],
            "deploy": {"replicas": self.resolve_replicas(env)},
            "restart": "unless-stopped",
            "init": True,
        }
        return {"services": {"plain": service}}

    def get_containers(self) -> list[str]:
        return ["plain"]
