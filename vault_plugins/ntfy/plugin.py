"""ntfy: push notifications by HTTP.

Messages and users are in two SQLite files, and a subscriber hears only of what is published to the same process.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, one_replica, replicated, required, wget

SERVICE: Final = "ntfy"
IMAGE: Final = "binwiederhier/ntfy:v2.11.0"
DATA: Final = "/var/lib/ntfy"
# `user add` wants the file to be there, takes the password from NTFY_PASSWORD, and leaves an existing user as it is.
START: Final = (
    ': >>"$$NTFY_AUTH_FILE"; ntfy user add --ignore-exists --role=admin "$$NTFY_ADMIN" && exec ntfy serve'
)


class NtfyPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="ntfy",
        slug="ntfy",
        default_port=8080,
        healthcheck_path="/v1/health",
        description="Push notifications to phones and desktops, sent by HTTP.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "NTFY_PASSWORD")
        port = self.resolve_port(env)
        settings = {key: value for key, value in env.items() if key.startswith("NTFY_")}
        settings.pop("NTFY_IMAGE", "")
        service = {
            **confined(env.get("NTFY_IMAGE") or IMAGE, memory="256M", pids=64),
            "environment": {
                "NTFY_ADMIN": "admin",
                "NTFY_AUTH_DEFAULT_ACCESS": "deny-all",
                "NTFY_BEHIND_PROXY": "true",
                **settings,
                "NTFY_LISTEN_HTTP": f":{port}",
                "NTFY_CACHE_FILE": f"{DATA}/cache.db",
                "NTFY_AUTH_FILE": f"{DATA}/user.db",
            },
            "entrypoint": ["sh", "-c", START],
            "volumes": [f"ntfy-data:{DATA}"],
            "healthcheck": checked(*wget(port, "/v1/health")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"ntfy-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env), "a subscriber of one does not hear what is published to the other"
        )
