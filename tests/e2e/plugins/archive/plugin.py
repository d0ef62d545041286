"""A web service with a real database and a migration that every release runs before its replicas start."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import WhoamiPlugin


class ArchivePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Archive", slug="archive", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        web = WhoamiPlugin().build_compose(env)["services"]["whoami"]
        database = {
            "image": "postgres:16",
            "environment": {"POSTGRES_PASSWORD": "test", "TUNING": env.get("VAULT_DB_TUNING", "")},
            "volumes": ["data:/var/lib/postgresql/data"],
            "networks": ["vault-net"],
            "stop_grace_period": "2s",
            "healthcheck": {
                "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"],
                "interval": "1s",
                "start_period": "60s",
                "start_interval": "300ms",
            },
        }
        if env.get("VAULT_DB_BROKEN"):
            # It runs, never answers, and is deaf to SIGTERM.
            database |= {"command": ["sh", "-c", "trap '' TERM; sleep 1000"], "entrypoint": []}
        migrate = {
            "image": "postgres:16",
            "entrypoint": [],
            "command": ["sh", "-c", env.get("VAULT_MIGRATE", "true")],
            "networks": ["vault-net"],
            "depends_on": {"database": {"condition": "service_healthy"}},
        }
        web["depends_on"] = {
            "database": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
        return {
            "services": {"web": web, "database": database, "migrate": migrate},
            "volumes": {"data": {}},
        }

    def get_containers(self) -> list[str]:
        return ["web"]
