"""Bugsink: collects errors of programs, by the protocol of Sentry's clients.

The container has the web server and the worker that reads its queue; the data are in one SQLite database.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, one_replica, replicated, required

SERVICE: Final = "bugsink"
IMAGE: Final = "bugsink/bugsink:2.6.2"
HEALTH: Final = "/health/ready"
PASSED_ON: Final = (
    "EMAIL_",
    "MAX_",
    "USER_REGISTRATION",
    "TEAM_CREATION",
    "SITE_TITLE",
    "TIME_ZONE",
    "PHONEHOME",
)


class BugsinkPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Bugsink",
        slug="bugsink",
        default_port=8000,
        healthcheck_path=HEALTH,
        description="Errors of programs, collected from Sentry's client libraries.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "BUGSINK_SECRET_KEY", "BUGSINK_SUPERUSER", "BUGSINK_BASE_URL")
        port = self.resolve_port(env)
        look = f"import urllib.request; urllib.request.urlopen('http://localhost:{port}{HEALTH}', timeout=4)"
        service = {
            **confined(env.get("BUGSINK_IMAGE") or IMAGE, user="14237:14237", memory="1G", pids=128),
            "environment": {
                "PHONEHOME": "false",
                **{name: value for name, value in env.items() if name.startswith(PASSED_ON)},
                "SECRET_KEY": env["BUGSINK_SECRET_KEY"],
                "CREATE_SUPERUSER": env["BUGSINK_SUPERUSER"],
                "BASE_URL": env["BUGSINK_BASE_URL"],
                "BEHIND_HTTPS_PROXY": str(env["BUGSINK_BASE_URL"].startswith("https:")),
                "BEHIND_PLAIN_HTTP_PROXY": "False",
                "HOME": "/tmp",
                "PORT": str(port),
            },
            "volumes": ["bugsink-data:/data"],
            # It migrates the database before it listens.
            "healthcheck": checked("python", "-c", look, start="300s"),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"bugsink-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env),
            "they write to one SQLite database, and wait for each other until they give up",
        )
