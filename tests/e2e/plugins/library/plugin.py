"""A web service with a real database behind it, for changes of either one while the other must not be touched."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import WhoamiPlugin


class LibraryPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Library", slug="library", default_port=8000, healthcheck_path="/healthz"
    )
    dependencies = ("library-db",)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        web = WhoamiPlugin().build_compose(env)["services"]["whoami"]
        database = {
            "image": "postgres:16",
            "environment": {"POSTGRES_PASSWORD": "test", "TUNING": env.get("VAULT_DB_TUNING", "")},
            "volumes": ["library-db:/var/lib/postgresql/data"],
            "networks": ["vault-net"],
            "healthcheck": {
                "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"],
                "interval": "5s",
                "start_period": "60s",
                "start_interval": "500ms",
            },
        }
        web["depends_on"] = {"library-db": {"condition": "service_healthy"}}
        return {
            "services": {"library-web": web, "library-db": database},
            "volumes": {"library-db": {}},
        }

    def get_containers(self) -> list[str]:
        return ["library-web"]
