"""The demo's server, which also answers datagrams: each one comes back behind the version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import WhoamiPlugin


class BeaconPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Beacon", slug="beacon", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        web = WhoamiPlugin().build_compose(env)["services"]["whoami"]
        program = (Path(__file__).parent / "program.py").read_text(encoding="utf-8")
        return {"services": {"beacon": web | {"entrypoint": ["python3", "-c", program]}}}

    def get_containers(self) -> list[str]:
        return ["beacon"]
