"""Shaarli: bookmarks, private and shared.

All bookmarks are in one file that a request reads and writes as a whole, and logins are files of the container.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import BECOMING_ANOTHER_USER, checked, confined, one_replica, replicated, wget

SERVICE: Final = "shaarli"
IMAGE: Final = "ghcr.io/shaarli/shaarli:v0.14.0"
PORT: Final = 80
VOLUMES: Final = {"shaarli-data": "data", "shaarli-cache": "cache"}


class ShaarliPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Shaarli",
        slug="shaarli",
        default_port=PORT,
        healthcheck_path="/login",
        description="Bookmarks, private and shared, without a database.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            **confined(env.get("SHAARLI_IMAGE") or IMAGE, memory="256M", pids=128),
            "cap_add": list(BECOMING_ANOTHER_USER),
            "volumes": [f"{volume}:/var/www/shaarli/{path}" for volume, path in VOLUMES.items()],
            "healthcheck": checked(*wget(PORT, "/login")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {volume: {} for volume in VOLUMES},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env),
            "each writes the file of all bookmarks, and a login counts at one only",
        )
