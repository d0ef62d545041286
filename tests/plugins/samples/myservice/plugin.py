# The example of the developer guide, put together from its snippets and otherwise unchanged.
from vault_plugins import VaultServicePlugin


class MyServicePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="My Service",
        slug="myservice",
        default_port=8080,
        healthcheck_path="/healthz",
    )
    dependencies = ("myservice-db",)

    def build_compose(self, env):
        replicas = self.resolve_replicas(env)
        port = self.resolve_port(env)
        return {
            "services": {
                "myservice-web": {
                    "image": "example/myservice:latest",
                    "deploy": {"replicas": replicas},
                    "ports": [f"{port}:8080"],
                    "networks": ["vault-net"],
                },
                "myservice-db": {
                    "image": "postgres:16",
                    "volumes": ["myservice-db:/var/lib/postgresql/data"],
                    "networks": ["vault-net"],
                },
            },
            "volumes": {
                "myservice-db": {},
            },
        }

    def get_containers(self):
        return ["myservice-web"]
