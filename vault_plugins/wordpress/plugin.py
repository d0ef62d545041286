"""WordPress on MariaDB.

The program is that of the image: each replica copies it into memory, so another image is an upgrade that can be undone.
Uploads, themes and plugins are on a volume that all replicas share, and the keys of logins come from one secret.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, curl, mariadb, on_database, required

WEB: Final = "wordpress"
DATABASE: Final = "wordpress-db"
IMAGE: Final = "wordpress:6.8.3-apache"
PORT: Final = 80
KEYS: Final = ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE")
CONFIG: Final = "define('WP_AUTO_UPDATE_CORE', false);"


class WordpressPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="WordPress",
        slug="wordpress",
        default_port=PORT,
        healthcheck_path="/wp-login.php",
        description="A website or blog, on MariaDB.",
    )
    dependencies = (DATABASE,)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "WORDPRESS_SECRET", "WORDPRESS_DB_PASSWORD")
        password = env["WORDPRESS_DB_PASSWORD"]
        names = [f"WORDPRESS_{key}_{kind}" for key in KEYS for kind in ("KEY", "SALT")]
        web = {
            **confined(
                env.get("WORDPRESS_IMAGE") or IMAGE,
                user="33:33",
                memory="1G",
                pids=256,
                tmpfs=("/tmp", "/run/apache2", "/run/lock/apache2", "/var/www/html"),
            ),
            "environment": {
                # All replicas have the same keys, or a login would count at one of them only.
                **{name: f"{name}:{env['WORDPRESS_SECRET']}" for name in names},
                "WORDPRESS_DB_HOST": DATABASE,
                "WORDPRESS_DB_NAME": WEB,
                "WORDPRESS_DB_USER": WEB,
                "WORDPRESS_DB_PASSWORD": password,
                "WORDPRESS_CONFIG_EXTRA": f"{CONFIG} {env.get('WORDPRESS_CONFIG_EXTRA', '')}".strip(),
            },
            "volumes": ["wordpress-content:/var/www/html/wp-content"],
            "healthcheck": checked(*curl(PORT, "/wp-login.php"), start="120s"),
        }
        database = mariadb(WEB, password, env.get("WORDPRESS_DB_IMAGE"))
        return on_database(WEB, web, self.resolve_replicas(env), database)

    def get_containers(self) -> list[str]:
        return [WEB]
