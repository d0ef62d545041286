"""A web service beside a sidecar that lives in the namespaces of another dependency."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import IMAGE, WhoamiPlugin


class TunnelPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Tunnel", slug="tunnel", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        idle = {
            "image": IMAGE,
            "entrypoint": ["sleep", "infinity"],
            "stop_signal": "SIGKILL",
            "healthcheck": {"disable": True},
        }
        tuning = {"environment": {"TUNING": env.get("VAULT_VPN_TUNING", "")}}
        return {
            "services": {
                "whoami": WhoamiPlugin().build_compose(env)["services"]["whoami"],
                "vpn": {**idle, **tuning, "networks": ["vault-net"], "ipc": "shareable"},
                "sidecar": {**idle, env.get("VAULT_SHARED", "network_mode"): "service:vpn"},
            }
        }

    def get_containers(self) -> list[str]:
        return ["whoami"]
