"""A web service with a store, whose data is on one node, and a cache, which has none. Both are needed and do nothing."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import IMAGE, WhoamiPlugin


class ShelfPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Shelf", slug="shelf", default_port=8000, healthcheck_path="/healthz"
    )
    dependencies = ("store", "cache")

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        web = WhoamiPlugin().build_compose(env)["services"]["whoami"]
        idle = {
            "image": IMAGE,
            "entrypoint": ["sleep", "infinity"],
            "healthcheck": {
                "test": ["CMD", "true"],
                "interval": "5s",
                "start_period": "60s",
                "start_interval": "250ms",
            },
            "init": True,
            "networks": ["vault-net"],
            "stop_grace_period": "2s",
        }
        needs = {name: {"condition": "service_healthy"} for name in ("store", "cache")}
        return {
            "services": {
                "shelf": web | {"depends_on": needs},
                "store": idle | {"volumes": ["store:/data"]},
                "cache": idle,
            },
            "volumes": {"store": {}},
        }

    def get_containers(self) -> list[str]:
        return ["shelf"]
