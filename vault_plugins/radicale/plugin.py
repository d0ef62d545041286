"""Radicale: calendars and address books over CalDAV and CardDAV.

Each request carries its own login and the collections are files under a lock of the kernel, so replicas can share them.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, curl, replicated, required

SERVICE: Final = "radicale"
IMAGE: Final = "tomsquest/docker-radicale:3.5.10.0"
# The users come from the environment into a file in memory: radicale reads them from files only.
START: Final = (
    'set -f; umask 077; printf "%s\\n" $$RADICALE_USERS >/tmp/users; '
    "exec radicale --server-hosts 0.0.0.0:{port} --auth-type htpasswd --auth-htpasswd-filename /tmp/users "
    "--auth-htpasswd-encryption autodetect --storage-filesystem-folder /data/collections"
)


class RadicalePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Radicale",
        slug="radicale",
        default_port=5232,
        healthcheck_path="/.web/",
        description="Calendars and address books over CalDAV and CardDAV.",
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "RADICALE_USERS")
        port = self.resolve_port(env)
        service = {
            **confined(env.get("RADICALE_IMAGE") or IMAGE, user="2999:2999", memory="256M", pids=64),
            "environment": {"RADICALE_USERS": env["RADICALE_USERS"]},
            "command": ["sh", "-c", START.format(port=port)],
            "volumes": ["radicale-data:/data"],
            "healthcheck": checked(*curl(port, "/.web/")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"radicale-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]
