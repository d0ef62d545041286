"""The demo service: several identical replicas whose answers name the replica, so that one sees what happens.

Nothing in it keeps state, which makes it the service that rollouts, rotation and failures are tried on.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin

SERVICE: Final = "whoami"
IMAGE: Final = "vault-reconciler/whoami:latest"
LEDGER_MOUNT: Final = "/ledger"


class WhoamiPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Whoami",
        slug="whoami",
        default_port=8000,
        healthcheck_path="/healthz",
        description="A demo web server that answers with the name and version of the replica.",
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        port = self.resolve_port(env)
        service: dict[str, Any] = {
            "image": env.get("WHOAMI_IMAGE") or IMAGE,
            "environment": {**_passed_on(env), "PORT": str(port)},
            "networks": ["vault-net"],
            "healthcheck": {
                "test": ["CMD", "curl", "-fsS", "-o", "/dev/null", f"http://127.0.0.1:{port}/healthz"],
                # HAProxy notices sooner by itself; this is only for a container that is to be replaced.
                "interval": "5s",
                "timeout": "2s",
                "retries": 3,
                "start_period": "60s",
                # A replica that is ready is put to use this soon. Looking costs a process each time, which a start that
                # is waited for could use as well.
                "start_interval": "250ms",
            },
            "deploy": {
                "replicas": self.resolve_replicas(env),
                "resources": {"limits": {"memory": "128M", "pids": 64}},
            },
            "restart": "unless-stopped",
            # Process 1 ignores a signal that it has no handler for yet: while it boots, none would end it.
            "init": True,
            "stop_grace_period": "30s",
            "read_only": True,
            "tmpfs": ["/tmp"],
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
        }
        if directory := env.get("WHOAMI_LEDGER_DIR"):
            service["volumes"] = [{"type": "bind", "source": directory, "target": LEDGER_MOUNT}]
            service["environment"].setdefault("LEDGER", f"{LEDGER_MOUNT}/requests.log")
        return {"services": {SERVICE: service}}

    def get_containers(self) -> list[str]:
        return [SERVICE]


def _passed_on(env: Mapping[str, str]) -> dict[str, str]:
    # Settings of the operator and of this plugin are no business of the server's.
    return {key: value for key, value in env.items() if not key.startswith(("VAULT_", "WHOAMI_"))}
