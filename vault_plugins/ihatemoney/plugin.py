"""I hate money: shared expenses of a group, on PostgreSQL.

Everything is in the database and logins are signed cookies, so the web service can have any number of replicas.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from vault_plugins import PluginSettingError, VaultServicePlugin
from vault_plugins.parts import checked, confined, on_database, postgres, required

WEB: Final = "ihatemoney"
DATABASE: Final = "ihatemoney-db"
IMAGE: Final = "ihatemoney/ihatemoney:7.2.1"
PASSED_ON: Final = ("ACTIVATE_", "ALLOW_", "BABEL_", "MAIL_", "SHOW_", "ENABLE_", "LEGAL_", "SESSION_")


class IhatemoneyPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="I hate money",
        slug="ihatemoney",
        default_port=8000,
        description="Shared expenses of a group, on PostgreSQL.",
    )
    dependencies = (DATABASE,)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(env, "IHATEMONEY_SECRET", "IHATEMONEY_DB_PASSWORD")
        port = self.resolve_port(env)
        password = env["IHATEMONEY_DB_PASSWORD"]
        # It is part of a URL, in which the application's migrations understand no escapes.
        if quote(password, safe="") != password:
            raise PluginSettingError(
                "IHATEMONEY_DB_PASSWORD has characters that have a meaning in a URL; use letters, digits, '-' and '_'"
            )
        look = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=4)"
        web = {
            **confined(env.get("IHATEMONEY_IMAGE") or IMAGE, memory="512M", pids=64),
            "environment": {
                "ACTIVATE_DEMO_PROJECT": "False",
                **{name: value for name, value in env.items() if name.startswith(PASSED_ON)},
                "SECRET_KEY": env["IHATEMONEY_SECRET"],
                "SQLALCHEMY_DATABASE_URI": f"postgresql://ihatemoney:{password}@{DATABASE}/ihatemoney",
                "PORT": str(port),
            },
            "healthcheck": checked("python3", "-c", look, start="120s"),
        }
        database = postgres(WEB, password, env.get("IHATEMONEY_DB_IMAGE"))
        return on_database(WEB, web, self.resolve_replicas(env), database)

    def get_containers(self) -> list[str]:
        return [WEB]
