"""copyparty: a file server for uploads of any size, with users.

Sessions, unfinished uploads and its index are in databases that one process has open.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, one_replica, replicated, required, wget

SERVICE: Final = "copyparty"
IMAGE: Final = "copyparty/ac:1.20.26"
# The image reads all files of /cfg, which is in memory here. `A` is every right of an administrator.
CONFIG: Final = (
    "[global]\\n  p: {port}\\n  rproxy: 1\\n  xff-src: private\\n  hist: /state/hist\\n"
    "[accounts]\\n  %s\\n[/]\\n  /w\\n  accs:\\n    A: %s\\n"
)
START: Final = (
    'umask 077; printf \'{config}\' "$$COPYPARTY_USER" "$${{COPYPARTY_USER%%:*}}" >/cfg/service.conf; '
    "exec python3 -m copyparty -c /z/initcfg"
)


class CopypartyPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="copyparty",
        slug="copyparty",
        default_port=3923,
        healthcheck_path="/?reset=/._",
        description="A file server in the web browser, with uploads that can be resumed.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "COPYPARTY_USER")
        port = self.resolve_port(env)
        service = {
            **confined(
                env.get("COPYPARTY_IMAGE") or IMAGE,
                user="1000:1000",
                memory="512M",
                pids=128,
                tmpfs=("/tmp", "/cfg", "/state"),
            ),
            "environment": {"COPYPARTY_USER": env["COPYPARTY_USER"], "XDG_CONFIG_HOME": "/w/.copyparty"},
            "entrypoint": ["sh", "-c", START.format(config=CONFIG.format(port=port))],
            "volumes": ["copyparty-files:/w"],
            "healthcheck": checked(*wget(port, "/?reset=/._")),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"copyparty-files": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env), "an upload that one has begun is unknown to the other, and fails"
        )
