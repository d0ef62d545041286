"""A service that speaks TLS itself, with a certificate from its environment: each line is answered with who it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import IMAGE


class WirePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Wire", slug="wire", default_port=8000)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        program = (Path(__file__).parent / "program.py").read_text(encoding="utf-8")
        service = {
            "image": IMAGE,
            "entrypoint": ["python3", "-c", program],
            "environment": {"PEM": env["PEM"], "VERSION": env.get("VERSION", "1")},
            "networks": ["vault-net"],
            "tmpfs": ["/tmp"],
            "stop_signal": "SIGKILL",
            "healthcheck": {
                "test": [
                    "CMD",
                    "python3",
                    "-c",
                    "import socket; socket.create_connection(('127.0.0.1', 8000))",
                ],
                "interval": "5s",
                "start_period": "60s",
                "start_interval": "300ms",
            },
            "deploy": {"replicas": self.resolve_replicas(env)},
        }
        return {"services": {"wire": service}}

    def get_containers(self) -> list[str]:
        return ["wire"]
