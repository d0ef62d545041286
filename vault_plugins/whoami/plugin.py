"""The demo service: several identical replicas whose responses name the replica.

It is stateless, so it is used to try rollouts, rotation and failures.
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
                # HAProxy detects a failure sooner; this is only for the replacement of the container.
                "interval": "5s",
                "timeout": "2s",
                "retries": 3,
                "start_period": "60s",
                # A ready replica is used within this time. Each check costs a process, which slows down the start.
                "start_interval": "250ms",
            },
            "deploy": {
                "replicas": self.resolve_replicas(env),
                "resources": {"limits": {"memory": "128M", "pids": 64}},
            },
            "restart": "unless-stopped",
            # Process 1 ignores signals without a handler, so SIGTERM would not stop it while it boots.
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
    # Settings of the controller and of this plugin are not passed to the server.
    return {key: value for key, value in env.items() if not key.startswith(("VAULT_", "WHOAMI_"))}
