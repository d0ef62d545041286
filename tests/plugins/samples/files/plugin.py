"""The other style of plugin: one service per replica, named after a count that only `build_compose` learns."""

from collections.abc import Iterator, Mapping
from typing import Any

from vault_plugins import VaultServicePlugin


class FilesPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Files", slug="files", default_port=8000, healthcheck_path="/healthz"
    )
    min_replicas = 2
    default_environment = {"GREETING": "hello"}  # noqa: RUF012 - as plugins of the guide write it

    def __init__(self) -> None:
        self._replicas = self.min_replicas

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        self._replicas = self.resolve_replicas(env)
        service = {"image": "vault-reconciler/whoami:latest", "networks": ["vault-net"]}
        return {"services": {name: dict(service) for name in self.get_containers()}}

    def get_containers(self) -> Iterator[str]:
        return (f"files_web{number}" for number in range(1, self._replicas + 1))
