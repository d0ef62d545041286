"""Node-RED: flows of events, drawn in the web browser.

Its flows run in the process, so a second one would do everything twice. Its settings are a program; this one takes the
administrator and the secret of stored credentials from the environment.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, curl, one_replica, replicated, required

SERVICE: Final = "node-red"
IMAGE: Final = "nodered/node-red:4.1.15"
SETTINGS: Final = (
    "module.exports = { uiPort: process.env.PORT, flowFile: 'flows.json', "
    "credentialSecret: process.env.NODE_RED_CREDENTIAL_SECRET, "
    "adminAuth: { type: 'credentials', users: [ { username: process.env.NODE_RED_USER, "
    "password: process.env.NODE_RED_PASSWORD_HASH, permissions: '*' } ] } };"
)
START: Final = (
    f'umask 077; echo "{SETTINGS}" >/tmp/settings.js; cd /usr/src/node-red; '
    "exec node node_modules/node-red/red.js --userDir /data --settings /tmp/settings.js"
)


class NodeRedPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Node-RED",
        slug="node-red",
        default_port=1880,
        description="Flows of events between devices and services, drawn in the web browser.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "NODE_RED_PASSWORD_HASH", "NODE_RED_CREDENTIAL_SECRET")
        port = self.resolve_port(env)
        service = {
            **confined(env.get("NODE_RED_IMAGE") or IMAGE, user="1000:1000", memory="512M", pids=128),
            "environment": {
                "NODE_RED_USER": env.get("NODE_RED_USER") or "admin",
                "NODE_RED_PASSWORD_HASH": env["NODE_RED_PASSWORD_HASH"],
                "NODE_RED_CREDENTIAL_SECRET": env["NODE_RED_CREDENTIAL_SECRET"],
                "PORT": str(port),
            },
            "entrypoint": ["sh", "-c", START],
            "volumes": ["node-red-data:/data"],
            "healthcheck": checked(*curl(port, "/")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"node-red-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env), "each of them runs all flows, so everything is done twice"
        )
