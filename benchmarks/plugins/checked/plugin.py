"""The demo's web server with a Docker health check that starts a Python process, as many images have it.

Such a check costs more CPU time than all else in a small rollout, so the time of ours must not come on top of it.
"""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin

PROBE = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"


class CheckedPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Checked", slug="checked", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            "image": "vault-reconciler/whoami:latest",
            "environment": {key: value for key, value in env.items() if not key.startswith("VAULT_")},
            "healthcheck": {
                "test": ["CMD", "python3", "-c", PROBE],
                "interval": "5s",
                "timeout": "3s",
                "start_period": "60s",
                "start_interval": "250ms",
            },
            "networks": ["vault-net"],
            "deploy": {"replicas": self.resolve_replicas(env)},
            "restart": "unless-stopped",
            "init": True,
        }
        return {"services": {"checked": service}}

    def get_containers(self) -> list[str]:
        return ["checked"]
