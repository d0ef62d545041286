"""Parts that the plugins of the catalogue share: a confined container, its health check, databases.

`confined` with a user is what admission calls restricted: not root, read-only, without capabilities, with limits.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from vault_plugins.contract import PluginSettingError

POSTGRES_IMAGE: Final = "postgres:16"
MARIADB_IMAGE: Final = "mariadb:11.8"
BECOMING_ANOTHER_USER: Final = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID")
"""Capabilities (`cap_add`) of a server that starts as root and becomes another user."""


def required(env: Mapping[str, str], *names: str) -> None:
    """Raises PluginSettingError that names all of these settings that are missing or empty."""
    if missing := [name for name in names if not env.get(name)]:
        raise PluginSettingError(
            f"{' and '.join(missing)} must be set: write each with a value of your own, for example from "
            "`openssl rand -hex 32`, into a file that spec.envFrom names"
        )


def one_replica(replicas: int, reason: str) -> list[str]:
    """Return the warning of a plugin whose data or sessions allow one replica, if there are more."""
    return [] if replicas <= 1 else [f"{replicas} replicas are too many: {reason}; set spec.replicas to 1"]


def confined(
    image: str,
    *,
    memory: str,
    pids: int,
    user: str = "",
    tmpfs: Iterable[str] = ("/tmp",),
    grace: str = "30s",
) -> dict[str, Any]:
    """Return a service with few rights. `user` is numeric, `UID:GID`; without one it is the image's, which may be root and
    write to its own file system. `tmpfs` are the paths that a read-only container writes to, besides its volumes.
    """
    service: dict[str, Any] = {
        "image": image,
        "deploy": {"resources": {"limits": {"memory": memory, "pids": pids}}},
        "restart": "unless-stopped",
        "stop_grace_period": grace,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    if user:
        owner = "uid={},gid={}".format(*user.split(":"))
        # Docker takes the mode of the image's directory, which the user need not be allowed to write to.
        service |= {"user": user, "read_only": True, "tmpfs": [f"{path}:{owner}" for path in tmpfs]}
    return service


def replicated(service: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """Return the service as a web service with these many replicas, where HAProxy reaches it."""
    networks = ["vault-net", *service.get("networks", ())]
    return {**service, "networks": networks, "deploy": {**service["deploy"], "replicas": replicas}}


def checked(*command: str, start: str = "60s") -> dict[str, Any]:
    """Return a health check that runs `command`; a container may take as long as `start` until it first succeeds."""
    return {
        "test": ["CMD", *command],
        "interval": "5s",
        "timeout": "5s",
        "retries": 3,
        "start_period": start,
        "start_interval": "500ms",
    }


def curl(port: int, path: str) -> tuple[str, ...]:
    """Return the command of a health check, for images with curl."""
    return ("curl", "-fsS", "-o", "/dev/null", "--max-time", "4", f"http://127.0.0.1:{port}{path}")


def wget(port: int, path: str) -> tuple[str, ...]:
    """Return the command of a health check, for images with wget or busybox."""
    return ("wget", "-q", "-T", "4", "-O", "/dev/null", f"http://127.0.0.1:{port}{path}")


def postgres(name: str, password: str, image: str | None = None) -> dict[str, Any]:
    """Return the PostgreSQL of the web service `name`, which is also the name of its database and of its user."""
    return {
        **confined(
            image or POSTGRES_IMAGE,
            user="999:999",
            memory="1G",
            pids=256,
            tmpfs=("/tmp", "/var/run/postgresql"),
            grace="60s",
        ),
        "environment": {"POSTGRES_USER": name, "POSTGRES_DB": name, "POSTGRES_PASSWORD": password},
        "volumes": [f"{name}-db:/var/lib/postgresql/data"],
        # Over TCP: during its initialisation PostgreSQL already answers on its socket.
        "healthcheck": checked("pg_isready", "-q", "-h", "127.0.0.1", "-U", name, "-d", name),
        "shm_size": "128m",
    }


def mariadb(name: str, password: str, image: str | None = None) -> dict[str, Any]:
    """Return the MariaDB of the web service `name`, which is also the name of its database and of its user. The password of
    its root is a random one.
    """
    return {
        **confined(
            image or MARIADB_IMAGE,
            user="999:999",
            memory="1G",
            pids=256,
            tmpfs=("/tmp", "/run/mysqld"),
            grace="60s",
        ),
        "environment": {
            "MARIADB_USER": name,
            "MARIADB_DATABASE": name,
            "MARIADB_PASSWORD": password,
            "MARIADB_RANDOM_ROOT_PASSWORD": "yes",
            "MARIADB_AUTO_UPGRADE": "yes",
        },
        "volumes": [f"{name}-db:/var/lib/mysql"],
        "healthcheck": checked("healthcheck.sh", "--connect", "--innodb_initialized", start="120s"),
    }


def on_database(
    name: str,
    web: Mapping[str, Any],
    replicas: int,
    database: Mapping[str, Any],
    job: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fragment of the web service `name`, defined by `web`, that has a `database` of its own as `NAME-db`.

    `job` is run to its end as `NAME-update` before the web service starts. Nothing else reaches the database.
    """
    server, backend = f"{name}-db", f"{name}-backend"
    inside: dict[str, Any] = {"networks": [backend], "depends_on": {server: {"condition": "service_healthy"}}}
    before = {} if job is None else {f"{name}-update": {**job, **inside, "restart": "no"}}
    done = {each: {"condition": "service_completed_successfully"} for each in before}
    after = {**inside, "depends_on": {**inside["depends_on"], **done}}
    services = {
        name: replicated({**web, **after}, replicas),
        **before,
        server: {**database, "networks": [backend]},
    }
    mounts = (mount for service in services.values() for mount in service.get("volumes", ()))
    return {
        "services": services,
        "volumes": {mount.partition(":")[0]: {} for mount in mounts},
        "networks": {backend: {"internal": True}},
    }
