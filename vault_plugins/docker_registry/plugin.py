"""Distribution: a registry of container images, the program that Docker Hub's `registry` image has.

An upload is a file on the volume and its state is signed with a secret that all replicas have, so each request of an upload
may reach another replica.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, replicated, required, wget

SERVICE: Final = "docker-registry"
IMAGE: Final = "registry:2.8.3"
# It reads users from a file only; the file is in memory.
START: Final = (
    'set -f; umask 077; printf "%s\\n" $$DOCKER_REGISTRY_USERS >/run/users; '
    "exec registry serve /etc/docker/registry/config.yml"
)


class DockerRegistryPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Docker Registry",
        slug="docker-registry",
        default_port=5000,
        healthcheck_path="/",
        description="A registry of container images.",
    )

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "DOCKER_REGISTRY_USERS", "REGISTRY_HTTP_SECRET")
        port = self.resolve_port(env)
        settings = {key: value for key, value in env.items() if key.startswith("REGISTRY_")}
        service = {
            **confined(env.get("DOCKER_REGISTRY_IMAGE") or IMAGE, memory="512M", pids=128),
            "environment": {
                "REGISTRY_STORAGE_DELETE_ENABLED": "true",
                **settings,
                "DOCKER_REGISTRY_USERS": env["DOCKER_REGISTRY_USERS"],
                "REGISTRY_HTTP_SECRET": env["REGISTRY_HTTP_SECRET"],
                "REGISTRY_HTTP_ADDR": f":{port}",
                "REGISTRY_HTTP_RELATIVEURLS": "true",
                "REGISTRY_AUTH": "htpasswd",
                "REGISTRY_AUTH_HTPASSWD_REALM": "registry",
                "REGISTRY_AUTH_HTPASSWD_PATH": "/run/users",
                "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/var/lib/registry",
            },
            "entrypoint": ["sh", "-c", START],
            "read_only": True,
            "tmpfs": ["/run", "/tmp"],
            "volumes": ["docker-registry-data:/var/lib/registry"],
            "healthcheck": checked(*wget(port, "/")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"docker-registry-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]
