"""File Browser: a directory of files in the web browser, with users and shares.

Its users and settings are in one BoltDB file that only one process at a time can open. So there is one replica, and a
change stops the old container before the new one starts. More than one replica is allowed, as in the original, with a
warning that says what breaks.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin

SERVICE: Final = "filebrowser"
IMAGE: Final = "filebrowser/filebrowser:v2.63.2"
VOLUMES: Final = {
    "filebrowser-files": "/srv",
    "filebrowser-database": "/database",
    "filebrowser-config": "/config",
}


class FilebrowserPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="File Browser",
        slug="filebrowser",
        default_port=8080,
        healthcheck_path="/health",
        description="Files of one directory in the web browser: upload, edit, share.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        settings = {key: value for key, value in env.items() if key.startswith("FB_")}
        return {
            "services": {
                SERVICE: {
                    "image": env.get("FILEBROWSER_IMAGE") or IMAGE,
                    # An FB_ADDRESS other than this one would hide the server from HAProxy.
                    "environment": {
                        **settings,
                        "FB_ADDRESS": "0.0.0.0",
                        "FB_PORT": str(self.resolve_port(env)),
                        "FB_DATABASE": "/database/filebrowser.db",
                        "FB_ROOT": "/srv",
                    },
                    "volumes": [f"{volume}:{path}" for volume, path in VOLUMES.items()],
                    "networks": ["vault-net"],
                    "healthcheck": {
                        "test": ["CMD", "/healthcheck.sh"],
                        "interval": "5s",
                        "timeout": "3s",
                        "retries": 3,
                        "start_period": "30s",
                        "start_interval": "500ms",
                    },
                    "deploy": {
                        "replicas": self.resolve_replicas(env),
                        "resources": {"limits": {"memory": "512M", "pids": 128}},
                    },
                    "restart": "unless-stopped",
                    "stop_grace_period": "20s",
                    "cap_drop": ["ALL"],
                    "security_opt": ["no-new-privileges:true"],
                }
            },
            "volumes": {volume: {} for volume in VOLUMES},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        replicas = self.resolve_replicas(env)
        if replicas == 1:
            return []
        return [
            f"{replicas} replicas share one database file that only one of them can open: the others wait for it and do "
            "not become ready, and a rollout stalls; set spec.replicas to 1"
        ]
