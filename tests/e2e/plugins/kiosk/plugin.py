"""A web service behind a dependency that starts and ends at once, so that only the fetching of an image takes time."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import IMAGE, WhoamiPlugin


class KioskPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Kiosk", slug="kiosk", default_port=8000, healthcheck_path="/healthz"
    )
    dependencies = ("store",)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        store = {
            "image": env.get("VAULT_STORE_IMAGE") or IMAGE,
            "entrypoint": ["sleep", "infinity"],
            "stop_signal": "SIGKILL",
            "healthcheck": {"disable": True},
            "networks": ["vault-net"],
        }
        return {
            "services": {
                "whoami": WhoamiPlugin().build_compose(env)["services"]["whoami"],
                "store": store,
            }
        }

    def get_containers(self) -> list[str]:
        return ["whoami"]
