"""A real Redis as the service itself: it is reached by TCP, and nothing of it speaks HTTP."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin


class CachePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Cache", slug="cache", default_port=6379)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            "image": "redis:7",
            "environment": {"VERSION": env.get("VERSION", "1")},
            "networks": ["vault-net"],
            "tmpfs": ["/data"],
            "stop_grace_period": "2s",
            "healthcheck": {
                "test": ["CMD", "redis-cli", "ping"],
                "interval": "5s",
                "start_period": "60s",
                "start_interval": "300ms",
            },
            "deploy": {"replicas": self.resolve_replicas(env)},
        }
        return {"services": {"cache": service}}

    def get_containers(self) -> list[str]:
        return ["cache"]
