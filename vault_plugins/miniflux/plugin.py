"""Miniflux: a feed reader on PostgreSQL.

Everything is in the database, sessions too, so the web service can have any number of replicas.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, on_database, postgres, required

WEB: Final = "miniflux"
DATABASE: Final = "miniflux-db"
IMAGE: Final = "miniflux/miniflux:2.2.6"


class MinifluxPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Miniflux",
        slug="miniflux",
        default_port=8080,
        healthcheck_path="/healthcheck",
        description="A feed reader, on PostgreSQL.",
    )
    dependencies = (DATABASE,)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "MINIFLUX_DB_PASSWORD", "ADMIN_PASSWORD")
        port = self.resolve_port(env)
        password = env["MINIFLUX_DB_PASSWORD"]
        web = {
            **confined(env.get("MINIFLUX_IMAGE") or IMAGE, user="65534:65534", memory="256M", pids=64),
            "environment": {
                "ADMIN_USERNAME": "admin",
                **{
                    name: value for name, value in env.items() if not name.startswith(("VAULT_", "MINIFLUX_"))
                },
                "CREATE_ADMIN": "1",
                "RUN_MIGRATIONS": "1",
                "LISTEN_ADDR": f"0.0.0.0:{port}",
                # Separate variables: a password may have characters that a URL has not.
                "DATABASE_URL": f"user=miniflux dbname=miniflux host={DATABASE} sslmode=disable",
                "PGPASSWORD": password,
            },
            "healthcheck": checked("/usr/bin/miniflux", "-healthcheck", "auto", start="120s"),
        }
        database = postgres(WEB, password, env.get("MINIFLUX_DB_IMAGE"))
        return on_database(WEB, web, self.resolve_replicas(env), database)

    def get_containers(self) -> list[str]:
        return [WEB]
