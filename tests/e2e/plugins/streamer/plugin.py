"""A web service with answers that last: events without an end, and downloads of any size."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import WhoamiPlugin


class StreamerPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Streamer", slug="streamer", default_port=8000, healthcheck_path="/healthz"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        web = WhoamiPlugin().build_compose(env)["services"]["whoami"]
        program = (Path(__file__).parent / "program.py").read_text(encoding="utf-8")
        return {"services": {"streamer": web | {"entrypoint": ["python3", "-c", program]}}}

    def get_containers(self) -> list[str]:
        return ["streamer"]
