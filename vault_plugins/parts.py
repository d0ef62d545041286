"""Parts that the plugins of the catalogue share: a confined container, its health check, databases.

`confined` with a user is what admission calls restricted: not root, read-only, without capabilities, with limits.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from vault_plugins.contract import PluginSettingError

POSTGRES_IMAGE: Final = "postgres:16"


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


def postgres(image: str, environment: Mapping[str, str], *, volume: str, network: str) -> dict[str, Any]:
    """Return a PostgreSQL on `network` with its data on `volume`. `environment` has POSTGRES_USER, _PASSWORD and _DB."""
    user, name = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    return {
        **confined(
            image,
            user="999:999",
            memory="1G",
            pids=256,
            tmpfs=("/tmp", "/var/run/postgresql"),
            grace="60s",
        ),
        "environment": dict(environment),
        "volumes": [f"{volume}:/var/lib/postgresql/data"],
        "networks": [network],
        # Over TCP: during its initialisation PostgreSQL already answers on its socket.
        "healthcheck": checked("pg_isready", "-q", "-h", "127.0.0.1", "-U", user, "-d", name),
        "shm_size": "128m",
    }


def on_postgres(
    name: str, web: Mapping[str, Any], replicas: int, image: str | None, *, database: str, password: str
) -> dict[str, Any]:
    """Return the fragment of the web service `name`, defined by `web`, which has everything in a PostgreSQL of its own.

    That is the service `NAME-db`, and nothing else reaches it; `database` is also the name of its user.
    """
    service, backend = f"{name}-db", f"{name}-backend"
    environment = {"POSTGRES_USER": database, "POSTGRES_DB": database, "POSTGRES_PASSWORD": password}
    needs = {"networks": [backend], "depends_on": {service: {"condition": "service_healthy"}}}
    return {
        "services": {
            name: replicated({**web, **needs}, replicas),
            service: postgres(image or POSTGRES_IMAGE, environment, volume=service, network=backend),
        },
        "volumes": {service: {}},
        "networks": {backend: {"internal": True}},
    }
