"""Replicas that answer at once, so that a gateway is measured and not they: HAProxy itself, with one answer for all."""

from collections.abc import Mapping
from typing import Any

from vault_plugins import VaultServicePlugin

CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend all
    bind :8000
    http-request return status 200 content-type text/plain string swift
"""


class SwiftPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Swift", slug="swift", default_port=8000, healthcheck_path="/"
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        service = {
            "image": "haproxy:3.0",
            "environment": {"CONFIG": CONFIG},
            # Compose would fill in a variable's name after a dollar sign.
            "entrypoint": ["sh", "-c", "printenv CONFIG >/tmp/swift.cfg && exec haproxy -f /tmp/swift.cfg"],
            "healthcheck": {"disable": True},
            "networks": ["vault-net"],
            "deploy": {"replicas": self.resolve_replicas(env)},
        }
        return {"services": {"swift": service}}

    def get_containers(self) -> list[str]:
        return ["swift"]
