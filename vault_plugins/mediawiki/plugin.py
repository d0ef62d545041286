"""MediaWiki on MariaDB.

A job makes the tables, and brings them to the version of its image before replicas of that version start. Logins are in the
database and uploads on a shared volume, so the web service can have any number of replicas.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import PluginSettingError, VaultServicePlugin
from vault_plugins.parts import checked, confined, curl, mariadb, on_database, required

WEB: Final = "mediawiki"
DATABASE: Final = "mediawiki-db"
IMAGE: Final = "mediawiki:1.43.5"
PORT: Final = 80
USER: Final = "33:33"
HEALTH: Final = "/api.php?action=query&meta=siteinfo&format=json"
# The settings are a program, so values come from the environment and are never part of its text.
SETTINGS: Final = """\
<?php
$wgSitename = getenv("MEDIAWIKI_NAME");
$wgServer = getenv("MEDIAWIKI_URL");
$wgScriptPath = "";
$wgResourceBasePath = "";
$wgDBtype = "mysql";
$wgDBserver = getenv("MEDIAWIKI_DB_HOST");
$wgDBname = "mediawiki";
$wgDBuser = "mediawiki";
$wgDBpassword = getenv("MEDIAWIKI_DB_PASSWORD");
$wgDBTableOptions = "ENGINE=InnoDB, DEFAULT CHARSET=binary";
$wgSecretKey = getenv("MEDIAWIKI_SECRET");
$wgMainCacheType = CACHE_DB;
$wgSessionCacheType = CACHE_DB;
$wgParserCacheType = CACHE_DB;
$wgCacheDirectory = "/tmp";
$wgEnableUploads = true;
$wgLanguageCode = getenv("MEDIAWIKI_LANGUAGE");
$wgGroupPermissions["*"]["edit"] = false;
$wgGroupPermissions["*"]["createaccount"] = false;
$wgUsePrivateIPs = true;
$wgCdnServersNoPurge = [ "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16" ];
wfLoadSkin( "Vector" );
eval( getenv("MEDIAWIKI_SETTINGS") );
"""
WRITE: Final = 'umask 077; printf "%s" "$$MEDIAWIKI_PROGRAM" >/tmp/LocalSettings.php; cd /var/www/html; '
# Passwords are in files, since all users of the host see the arguments of a program.
INSTALL: Final = (
    'printf %s "$$MEDIAWIKI_DB_PASSWORD" >/tmp/database; printf %s "$$MEDIAWIKI_ADMIN_PASSWORD" >/tmp/administrator; '
    'MW_CONFIG_FILE=/tmp/none.php php maintenance/install.php --confpath /tmp/new --scriptpath "" '
    '--dbserver "$$MEDIAWIKI_DB_HOST" --dbname mediawiki --dbuser mediawiki --dbpassfile /tmp/database '
    '--server "$$MEDIAWIKI_URL" --passfile /tmp/administrator "$$MEDIAWIKI_NAME" "$$MEDIAWIKI_ADMIN"'
)
HAS_TABLES: Final = (
    "mysqli_report(MYSQLI_REPORT_OFF); "
    '$$db = new mysqli(getenv("MEDIAWIKI_DB_HOST"), "mediawiki", getenv("MEDIAWIKI_DB_PASSWORD"), "mediawiki"); '
    'exit($$db->query("select 1 from site_stats") ? 0 : 1);'
)
CHANGE_TABLES: Final = "php maintenance/update.php --quick"
# It may fail after it has changed all tables, when it reads its own messages from them; what is done is not done again.
UPDATE: Final = (
    f"{WRITE} mkdir -p /tmp/new; "
    f"if php -r '{HAS_TABLES}'; then {CHANGE_TABLES} || {CHANGE_TABLES}; else {INSTALL}; fi"
)


class MediawikiPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="MediaWiki",
        slug="mediawiki",
        default_port=PORT,
        healthcheck_path=HEALTH,
        description="The wiki of Wikipedia, on MariaDB.",
    )
    dependencies = (DATABASE,)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        required(
            env, "MEDIAWIKI_SECRET", "MEDIAWIKI_DB_PASSWORD", "MEDIAWIKI_ADMIN_PASSWORD", "MEDIAWIKI_URL"
        )
        if len(env["MEDIAWIKI_ADMIN_PASSWORD"]) < 10:
            raise PluginSettingError("MEDIAWIKI_ADMIN_PASSWORD is too short; MediaWiki wants 10 characters")
        environment = {
            "MEDIAWIKI_NAME": env.get("MEDIAWIKI_NAME") or "Wiki",
            "MEDIAWIKI_URL": env["MEDIAWIKI_URL"],
            "MEDIAWIKI_LANGUAGE": env.get("MEDIAWIKI_LANGUAGE") or "en",
            "MEDIAWIKI_SETTINGS": env.get("MEDIAWIKI_SETTINGS") or "",
            "MEDIAWIKI_SECRET": env["MEDIAWIKI_SECRET"],
            "MEDIAWIKI_DB_HOST": DATABASE,
            "MEDIAWIKI_DB_PASSWORD": env["MEDIAWIKI_DB_PASSWORD"],
            "MEDIAWIKI_PROGRAM": SETTINGS.replace("$", "$$"),
            "MW_CONFIG_FILE": "/tmp/LocalSettings.php",
        }
        image = env.get("MEDIAWIKI_IMAGE") or IMAGE
        administrator = {
            "MEDIAWIKI_ADMIN": env.get("MEDIAWIKI_ADMIN") or "Admin",
            "MEDIAWIKI_ADMIN_PASSWORD": env["MEDIAWIKI_ADMIN_PASSWORD"],
        }
        web = {
            **confined(
                image,
                user=USER,
                memory="1G",
                pids=256,
                tmpfs=("/tmp", "/run/apache2", "/run/lock/apache2"),
            ),
            "environment": environment,
            "entrypoint": ["sh", "-c", f"{WRITE} exec docker-php-entrypoint apache2-foreground"],
            "volumes": ["mediawiki-images:/var/www/html/images"],
            "healthcheck": checked(*curl(PORT, HEALTH), start="120s"),
        }
        job = {
            **confined(image, user=USER, memory="1G", pids=64),
            "environment": {**environment, **administrator},
            "entrypoint": ["sh", "-c", UPDATE],
        }
        database = mariadb(WEB, env["MEDIAWIKI_DB_PASSWORD"], env.get("MEDIAWIKI_DB_IMAGE"))
        return on_database(WEB, web, self.resolve_replicas(env), database, job)

    def get_containers(self) -> list[str]:
        return [WEB]
