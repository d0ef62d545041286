"""DokuWiki: a wiki whose pages are text files.

Its image ties the volume to its own version at each start, so one version at a time can use the volume. The administrator
is made before the first start, since DokuWiki's installer would give the wiki to its first visitor.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import PluginSettingError, VaultServicePlugin
from vault_plugins.parts import checked, confined, curl, one_replica, replicated, required

SERVICE: Final = "dokuwiki"
IMAGE: Final = "dokuwiki/dokuwiki:2025-05-14b"
PORT: Final = 8080
HEALTH: Final = "/doku.php?do=login"
USER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*")
# The users come last: as long as there are none, the next start does this anew.
INSTALL: Final = r"""
function lines($file, ...$lines) { return file_put_contents($file, implode("\n", $lines) . "\n"); }
umask(0077);
@mkdir("/storage/conf");
chdir("/storage/conf");
$guard = "# <?php exit()?>";
$name = getenv("DOKUWIKI_USER");
$hash = password_hash(getenv("DOKUWIKI_PASSWORD"), PASSWORD_BCRYPT);
lines("local.php", "<?php", '$conf["title"] = ' . var_export(getenv("DOKUWIKI_TITLE"), true) . ";",
    '$conf["useacl"] = 1;', '$conf["superuser"] = "@admin";', '$conf["disableactions"] = "register";');
lines("acl.auth.php", $guard, "*\t@ALL\t0", "*\t@user\t8");
lines("users.new", $guard, "$name:$hash:$name:$name@localhost:admin,user");
exit(rename("users.new", "users.auth.php") ? 0 : 1);
"""
START: Final = (
    'if [ ! -e /storage/conf/users.auth.php ]; then php -r "$$DOKUWIKI_INSTALL" || exit 1; fi; '
    "exec /dokuwiki-entrypoint.sh"
)


class DokuwikiPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="DokuWiki",
        slug="dokuwiki",
        default_port=PORT,
        healthcheck_path=HEALTH,
        description="A wiki whose pages are text files.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "DOKUWIKI_PASSWORD")
        user = env.get("DOKUWIKI_USER") or "admin"
        if not USER_NAME.fullmatch(user):
            raise PluginSettingError("DOKUWIKI_USER may have lower case letters, digits, '_', '.' and '-'")
        service = {
            **confined(
                env.get("DOKUWIKI_IMAGE") or IMAGE,
                user="33:33",
                memory="512M",
                pids=128,
                tmpfs=("/tmp", "/run/apache2", "/run/lock/apache2"),
            ),
            "environment": {
                **{name: value for name, value in env.items() if name.startswith("PHP_")},
                "DOKUWIKI_TITLE": env.get("DOKUWIKI_TITLE") or "Wiki",
                "DOKUWIKI_USER": user,
                "DOKUWIKI_PASSWORD": env["DOKUWIKI_PASSWORD"],
                "DOKUWIKI_INSTALL": INSTALL.replace("$", "$$"),
            },
            "entrypoint": ["sh", "-c", START],
            "volumes": ["dokuwiki-storage:/storage"],
            "healthcheck": checked(*curl(PORT, HEALTH)),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"dokuwiki-storage": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env),
            "each start ties the volume to its own version, and the other one loses files while it does",
        )
