"""One web service with replicas behind HAProxy, run by the project and by each alternative.

All contestants run the same image and have an HAProxy that checks the replicas. Our controller configures the servers of
ours; the others use Docker's DNS, as in their documentation. Only Swarm also needs Docker's health check: without one, it
treats a replica as ready as soon as it runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import docker as docker_sdk

from tests.e2e.docker_cli import PROJECT, SERVICE, docker, remove_project
from tests.e2e.stage import VAULTCTL, Stage, free_port, staged

DEADLINE: Final = 90.0
LOOK_SECONDS: Final = 0.05
IMAGE: Final = "vault-reconciler/whoami:latest"
PROXY_IMAGE: Final = "haproxy:3.0"
PLUGIN: Final = "plain"
PLUGINS: Final = Path(__file__).parents[1] / "plugins"
SWARM_HEALTH: Final = ("--health-interval=2s", "--health-start-interval=500ms")
IMAGES: Final = (IMAGE, PROXY_IMAGE)
HAPROXY: Final = """
global
    stats socket /run/bench/admin.sock mode 666 level admin
resolvers docker
    nameserver dns 127.0.0.11:53
    accepted_payload_size 8192
    hold valid 200ms
    hold obsolete 200ms
    timeout resolve 200ms
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 3
frontend web
    bind :8080
    default_backend web
backend web
    option httpchk GET /healthz
    server-template web {slots} {host}:8000 check inter 200ms resolvers docker init-addr none
"""


class RefusedError(Exception):
    """A contestant cannot run here; has the reason."""


@dataclass(frozen=True)
class Setting:
    """What all have to keep: replicas that take `boot` seconds, of which there may be `most` later on.

    Unless they are `graceful`, they exit at once on SIGTERM, so that only the proxy can save a request. `is_checked`: those
    of Compose keep the health check of their image.
    """

    replicas: int = 3
    boot: float = 2.0
    most: int = 0
    graceful: bool = False
    is_checked: bool = False

    @property
    def env(self) -> dict[str, str]:
        """The replicas' environment."""
        return {"BOOT_SECONDS": f"{self.boot:g}", "GRACEFUL": str(int(self.graceful))}

    @property
    def slots(self) -> int:
        """Server slots for twice the number of replicas."""
        return 2 * max(self.replicas, self.most)


@dataclass(frozen=True)
class Subject:
    """A service that runs. `labels` are those of all its replicas, `admin` is its HAProxy's socket.

    `release` asks for a version, `scale` for a number, `heal` does what a person has to after a crash. Ours has a `stage`
    and the process of its `controller`.
    """

    port: int
    labels: Sequence[str]
    admin: Path
    release: Callable[[str], object]
    scale: Callable[[int], object]
    heal: Callable[[], object] = lambda: None
    engine: Any = field(default_factory=lambda: docker_sdk.APIClient(os.environ.get("DOCKER_HOST")))
    stage: Stage | None = None
    controller: subprocess.Popen[str] | None = None

    def rows(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """The containers of its replicas, as the engine lists them; the running ones, or all."""
        found: list[dict[str, Any]] = self.engine.containers(
            all=everything, filters={"label": list(self.labels)}
        )
        return found


@contextmanager
def ours(setting: Setting, **strategy: Any) -> Iterator[Subject]:
    """A controller with a manifest, which is edited."""
    budget = strategy or {"rollingUpdate": {"maxSurge": "100%"}}
    command = (*VAULTCTL, "--log-format", "json")
    spec: dict[str, Any] = {
        "plugin": PLUGIN,
        "replicas": setting.replicas,
        "strategy": budget,
        "env": setting.env,
    }
    with ExitStack() as stack:
        stage = stack.enter_context(staged(**spec))
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        controller = stack.enter_context(stage.controller(command))
        stage.converged(DEADLINE)
        yield Subject(
            port=stage.port,
            labels=(f"{SERVICE}={PLUGIN}", f"{PROJECT}={stage.project}"),
            admin=stage.state / "services" / stage.name / "run" / "admin-1.sock",
            release=lambda version: stage.write(env={"VERSION": version}),
            scale=lambda replicas: stage.write(replicas=replicas),
            stage=stage,
            controller=controller,
        )


@contextmanager
def compose(setting: Setting, *roll: str) -> Iterator[Subject]:
    """A Compose project; its file is edited, then `docker compose up -d` or the command `roll` is given."""
    project, port = f"t-bench-{secrets.token_hex(3)}", free_port()
    with proxy_directories("web", setting) as (config, run):
        file = config.parent / "compose.yaml"
        wanted = {"VERSION": "1"} | setting.env

        def up(
            replicas: int = setting.replicas, command: Sequence[str] = ("compose", "up", "--detach")
        ) -> None:
            web = {
                "image": IMAGE,
                "environment": wanted,
                "healthcheck": {"disable": not setting.is_checked},
                "deploy": {"replicas": replicas},
                "init": True,
            }
            proxy = {
                "image": PROXY_IMAGE,
                "ports": [f"127.0.0.1:{port}:8080"],
                "volumes": [f"{config}:/usr/local/etc/haproxy:ro", f"{run}:/run/bench"],
            }
            file.write_text(json.dumps({"name": project, "services": {"web": web, "haproxy": proxy}}))
            docker(*command[:1], "--file", str(file), *command[1:], timeout=DEADLINE)

        def release(version: str) -> None:
            wanted["VERSION"] = version
            up(command=roll or ("compose", "up", "--detach"))

        try:
            up()
            wait_for_answers(port)
            labels = (f"{SERVICE}=web", f"{PROJECT}={project}")
            yield Subject(port, labels, run / "admin.sock", release, scale=up, heal=up)
        finally:
            remove_project(project)


@contextmanager
def docker_rollout(setting: Setting) -> Iterator[Subject]:
    """Compose, with the plugin that scales up and then down again."""
    # `docker rollout --help` succeeds without it, with the help of docker itself.
    if "rollout" not in docker("info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}").split():
        raise RefusedError("the docker-rollout plugin is not installed")
    # Without a health check, it waits ten seconds.
    with compose(replace(setting, is_checked=True), "rollout", "web") as subject:
        yield subject


@contextmanager
def swarm(setting: Setting, url: str) -> Iterator[Subject]:
    """A Swarm of the engine at `url` alone, start-first, all replicas at once, restarts without delay; left afterwards."""
    try:
        docker("--host", url, "swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:2377")
    except AssertionError as error:
        raise RefusedError(str(error).strip().splitlines()[-1]) from None
    name, port = f"t-bench-{secrets.token_hex(3)}", free_port()
    settings = [f"--env={key}={value}" for key, value in setting.env.items()]
    order = ("--update-order=start-first", f"--update-parallelism={setting.replicas}", "--detach")
    with proxy_directories(f"tasks.{name}", setting) as (config, run):
        try:
            docker("--host", url, "network", "create", "--driver=overlay", "--attachable", name)
            docker(
                *("--host", url, "service", "create", f"--name={name}", f"--network={name}"),
                *(f"--replicas={setting.replicas}", "--endpoint-mode=dnsrr", "--no-resolve-image", "--init"),
                *("--restart-delay=0s", *SWARM_HEALTH, *settings, *order, IMAGE),
                timeout=DEADLINE,
            )
            docker(
                *("--host", url, "run", "--detach", f"--name={name}", f"--network={name}"),
                *(f"--publish=127.0.0.1:{port}:8080", f"--volume={config}:/usr/local/etc/haproxy:ro"),
                *(f"--volume={run}:/run/bench", PROXY_IMAGE),
            )
            wait_for_answers(port)
            update = ("--host", url, "service", "update", *order)
            yield Subject(
                port=port,
                labels=(f"com.docker.swarm.service.name={name}",),
                admin=run / "admin.sock",
                release=lambda version: docker(*update, f"--env-add=VERSION={version}", name),
                scale=lambda replicas: docker(*update, f"--replicas={replicas}", name),
                engine=docker_sdk.APIClient(base_url=url),
            )
        except AssertionError as error:
            raise RefusedError(str(error).strip().splitlines()[-1]) from None
        finally:
            docker("--host", url, "rm", "--force", name, check=False)
            docker("--host", url, "service", "rm", name, check=False)
            docker("--host", url, "swarm", "leave", "--force", check=False, timeout=DEADLINE)
            docker("--host", url, "network", "rm", name, check=False)


@contextmanager
def proxy_directories(host: str, setting: Setting) -> Iterator[tuple[Path, Path]]:
    """The configuration of an HAProxy that follows Docker's DNS closely, and a place for its socket."""
    root = Path(tempfile.mkdtemp(prefix="vr-"))
    config, run = root / "haproxy", root / "run"
    try:
        for directory in (root, config, run):
            directory.mkdir(exist_ok=True)
            # For HAProxy's user, which does not exist on this machine.
            directory.chmod(0o777 if directory is run else 0o755)
        (config / "haproxy.cfg").write_text(HAPROXY.format(host=host, slots=setting.slots))
        yield config, run
    finally:
        shutil.rmtree(root)


def wait_for_answers(port: int, address: str = "127.0.0.1") -> None:
    """Wait until the service answers. Raises RefusedError if it does not."""
    deadline = time.monotonic() + DEADLINE
    probe = ["curl", "--silent", "--fail", "--output", "/dev/null", f"http://{address}:{port}/"]
    while subprocess.run(probe, check=False).returncode:
        if time.monotonic() > deadline:
            raise RefusedError("it does not answer")
        time.sleep(LOOK_SECONDS)
