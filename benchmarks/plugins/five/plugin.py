"""A web service that needs four others, which all start quickly, so that the orchestration is measured."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin

IMAGE = "vault-reconciler/whoami:latest"
NEEDS = ("database", "cache", "search", "mail")


class FivePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Five", slug="five", default_port=8000, healthcheck_path="/healthz"
    )
    dependencies = NEEDS

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        probe = ["CMD", "curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8000/healthz"]
        health = {"test": probe, "interval": "2s", "start_period": "30s", "start_interval": "250ms"}
        service = {"image": IMAGE, "healthcheck": health, "networks": ["vault-net"], "init": True}
        needs = {name: {"condition": "service_healthy"} for name in NEEDS}
        web = service | {"depends_on": needs, "deploy": {"replicas": self.resolve_replicas(env)}}
        return {"services": {"web": web} | {name: dict(service) for name in NEEDS}}

    def get_containers(self) -> list[str]:
        return ["web"]
