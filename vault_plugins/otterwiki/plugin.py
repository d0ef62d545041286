"""An Otter Wiki: pages in Markdown, each change a commit of a Git repository.

The repository and the SQLite database of users belong to one process.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import BECOMING_ANOTHER_USER, checked, confined, curl, one_replica, replicated

SERVICE: Final = "otterwiki"
IMAGE: Final = "redimp/otterwiki:2.26.1"
HEALTH: Final = "/-/healthz"
PASSED_ON: Final = (
    "SITE_",
    "MAIL_",
    "READ_",
    "WRITE_",
    "ATTACHMENT_",
    "AUTO_APPROVAL",
    "DISABLE_REGISTRATION",
)


class OtterwikiPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="An Otter Wiki",
        slug="otterwiki",
        default_port=8080,
        healthcheck_path=HEALTH,
        description="A wiki in Markdown, with its history in Git.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        port = self.resolve_port(env)
        service = {
            **confined(env.get("OTTERWIKI_IMAGE") or IMAGE, memory="512M", pids=128),
            "cap_add": list(BECOMING_ANOTHER_USER),
            "environment": {
                "READ_ACCESS": "REGISTERED",
                "WRITE_ACCESS": "REGISTERED",
                "ATTACHMENT_ACCESS": "REGISTERED",
                "AUTO_APPROVAL": "False",
                **{name: value for name, value in env.items() if name.startswith(PASSED_ON)},
                "LISTEN_PORT": str(port),
            },
            "volumes": ["otterwiki-data:/app-data"],
            "healthcheck": checked(*curl(port, HEALTH)),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"otterwiki-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env), "both write to one Git repository, and their commits collide"
        )
