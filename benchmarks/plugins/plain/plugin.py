"""The demo's web server without a Docker health check, so that HAProxy's own check decides who is ready.

Docker runs a process in the container for each check. Several of them a second in each of many replicas that start is all
that two cores can do; HAProxy asks over a connection, which costs nearly nothing.
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
