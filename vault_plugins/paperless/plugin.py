"""Paperless-ngx: a searchable archive of scanned documents, with PostgreSQL and Redis.

The example of a service with dependencies: the database and the broker start first, on their own network, which HAProxy is
not in. Every secret comes from the settings and has no default, so that a forgotten one is an error.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import PluginSettingError, VaultServicePlugin

WEB: Final = "paperless-web"
DATABASE: Final = "paperless-db"
BROKER: Final = "paperless-redis"
BACKEND: Final = "paperless-backend"

IMAGE: Final = "paperlessngx/paperless-ngx:2.19.6"
DATABASE_IMAGE: Final = "postgres:16"
BROKER_IMAGE: Final = "redis:7"

REQUIRED: Final = ("PAPERLESS_SECRET_KEY", "PAPERLESS_DBPASS")
WEB_VOLUMES: Final = {
    "paperless-data": "/usr/src/paperless/data",
    "paperless-media": "/usr/src/paperless/media",
    "paperless-export": "/usr/src/paperless/export",
    "paperless-consume": "/usr/src/paperless/consume",
}


class PaperlessPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Paperless-ngx",
        slug="paperless",
        default_port=8000,
        healthcheck_path="/accounts/login/",
        healthcheck_host="localhost",
        description="A searchable archive of scanned documents, on PostgreSQL and Redis.",
    )
    dependencies = (DATABASE, BROKER)
    # The container also schedules tasks, watches the consume directory and writes the search index.
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        if missing := [name for name in REQUIRED if not env.get(name)]:
            raise PluginSettingError(
                f"{' and '.join(missing)} must be set: write each with a value of your own, for example from "
                "`openssl rand -hex 32`, into a file that spec.envFrom names"
            )
        # A setting that only the web service reads must not replace the database.
        database = {
            "POSTGRES_DB": env.get("PAPERLESS_DBNAME") or "paperless",
            "POSTGRES_USER": env.get("PAPERLESS_DBUSER") or "paperless",
            "POSTGRES_PASSWORD": env["PAPERLESS_DBPASS"],
        }
        return {
            "services": {
                WEB: self._web(env, database),
                DATABASE: _database(env, database),
                BROKER: _broker(env),
            },
            "volumes": {volume: {} for volume in (*WEB_VOLUMES, DATABASE, BROKER)},
            "networks": {BACKEND: {"internal": True}},
        }

    def get_containers(self) -> list[str]:
        return [WEB]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        replicas = self.resolve_replicas(env)
        if replicas == 1:
            return []
        return [
            f"{replicas} replicas each schedule the same tasks, consume the same files and write the same search index: "
            "documents are imported twice and the index is damaged; set spec.replicas to 1 and "
            "PAPERLESS_WEBSERVER_WORKERS to what you need"
        ]

    def _web(self, env: Mapping[str, str], database: Mapping[str, str]) -> dict[str, Any]:
        port = self.resolve_port(env)
        settings = {key: value for key, value in env.items() if key.startswith(("PAPERLESS_", "USERMAP_"))}
        return {
            "image": env.get("PAPERLESS_IMAGE") or IMAGE,
            "environment": {
                **settings,
                "PAPERLESS_BIND_ADDR": "0.0.0.0",
                "PAPERLESS_PORT": str(port),
                "PAPERLESS_REDIS": f"redis://{BROKER}:6379",
                "PAPERLESS_DBENGINE": "postgresql",
                "PAPERLESS_DBHOST": DATABASE,
                "PAPERLESS_DBNAME": database["POSTGRES_DB"],
                "PAPERLESS_DBUSER": database["POSTGRES_USER"],
            },
            "volumes": [f"{volume}:{path}" for volume, path in WEB_VOLUMES.items()],
            "networks": ["vault-net", BACKEND],
            "depends_on": {name: {"condition": "service_healthy"} for name in self.dependencies},
            "healthcheck": {
                "test": [
                    "CMD",
                    "curl",
                    "-fsS",
                    "-o",
                    "/dev/null",
                    "--max-time",
                    "4",
                    f"http://localhost:{port}/",
                ],
                "interval": "10s",
                "timeout": "5s",
                "retries": 3,
                # The first start creates the schema; migrations of a new version may take as long.
                "start_period": "300s",
                "start_interval": "1s",
            },
            "deploy": {
                "replicas": self.resolve_replicas(env),
                "resources": {"limits": {"memory": "2G", "pids": 512}},
            },
            "restart": "unless-stopped",
            # Long enough to finish the page that OCR is processing.
            "stop_grace_period": "60s",
            "security_opt": ["no-new-privileges:true"],
        }


def _database(env: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Any]:
    user, name = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    return {
        "image": env.get("PAPERLESS_DB_IMAGE") or DATABASE_IMAGE,
        "environment": dict(environment),
        "volumes": [f"{DATABASE}:/var/lib/postgresql/data"],
        "networks": [BACKEND],
        "healthcheck": {
            # Over TCP: during its initialisation PostgreSQL already answers on its socket.
            "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", user, "-d", name],
            "interval": "5s",
            "timeout": "5s",
            "retries": 5,
            "start_period": "60s",
            "start_interval": "500ms",
        },
        "deploy": {"resources": {"limits": {"memory": "1G", "pids": 256}}},
        "shm_size": "128m",
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
        "security_opt": ["no-new-privileges:true"],
    }


def _broker(env: Mapping[str, str]) -> dict[str, Any]:
    return {
        "image": env.get("PAPERLESS_REDIS_IMAGE") or BROKER_IMAGE,
        "volumes": [f"{BROKER}:/data"],
        "networks": [BACKEND],
        "healthcheck": {
            "test": ["CMD", "redis-cli", "ping"],
            "interval": "5s",
            "timeout": "3s",
            "retries": 5,
            "start_period": "30s",
            "start_interval": "500ms",
        },
        "deploy": {"resources": {"limits": {"memory": "256M", "pids": 64}}},
        "restart": "unless-stopped",
        "stop_grace_period": "20s",
        "security_opt": ["no-new-privileges:true"],
    }
