"""Checks the engine: is it recent enough, and does it keep serving while its daemon restarts?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.app.checkup.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from reconciler.engines.base import EngineInfo

__all__ = ["check_engine", "has_userland_proxy", "is_at_least"]

OLDEST_ENGINE: Final = (24, 0)
OLDEST_COMPOSE: Final = (2, 20)
PROBES_EARLY: Final = (25, 0)
"""The first engine with `start_interval`, by which a replica is found healthy as soon as it is."""

FEW_NETWORKS: Final = 10
"""Those of five services."""

DAEMON_CONFIG: Final = Path("/etc/docker/daemon.json")


def check_engine(
    info: EngineInfo, userland_proxy: bool | None, *, one_node: bool = True
) -> Iterator[Finding]:
    """Versions and settings of an engine that answers. `userland_proxy` is None when that could not be found out.
    `one_node`: it is no Swarm, which does not allow live-restore.
    """
    if not is_at_least(info.version, OLDEST_ENGINE):
        yield fail(
            "engine", f"Docker {info.version} is too old", f"install {_dotted(OLDEST_ENGINE)} or newer"
        )
    elif not is_at_least(info.version, PROBES_EARLY):
        message = f"Docker {info.version} probes new replicas only every interval, so rollouts take longer"
        yield warn("engine", message, f"install {_dotted(PROBES_EARLY)} or newer")
    else:
        yield ok("engine", f"{info.name} {info.version} on {info.operating_system}")

    compose = info.parts.get("compose", "")
    if not compose:
        yield fail(
            "compose",
            "docker has no Compose v2",
            "install the docker-compose-v2 or docker-compose-plugin package",
        )
    elif not is_at_least(compose, OLDEST_COMPOSE):
        message = f"Compose {compose} is too old"
        yield fail("compose", message, f"install {_dotted(OLDEST_COMPOSE)} or newer")
    else:
        yield ok("compose", f"Compose {compose}")

    if not one_node:
        yield ok(
            "live-restore", "is not possible in a Swarm; instances of a node that restarts run elsewhere"
        )
    elif info.outlives_restart:
        yield ok("live-restore", "containers outlive a restart of the daemon")
    else:
        message = "a restart of the Docker daemon stops all containers"
        yield warn(
            "live-restore", message, f'set "live-restore": true in {DAEMON_CONFIG} and restart the daemon'
        )

    if userland_proxy is False:
        yield ok("userland-proxy", "published ports outlive a restart of the daemon")
    elif userland_proxy:
        message = "published ports refuse connections from this machine while the Docker daemon restarts"
        fix = f'set "userland-proxy": false in {DAEMON_CONFIG} and restart the daemon'
        yield warn("userland-proxy", message, fix)

    room = f"the engine's address pools have room for {info.networks_left} more networks"
    if info.networks_left >= FEW_NETWORKS:
        yield ok("networks", room)
    else:
        pools = '"default-address-pools": [{"base": "10.200.0.0/16", "size": 24}]'
        fix = f"set {pools}, for example, in {DAEMON_CONFIG} and restart the daemon"
        yield warn("networks", f"{room}; each service takes two", fix)


def has_userland_proxy(command_lines: Iterable[Sequence[str]], config: Path = DAEMON_CONFIG) -> bool | None:
    """Whether the local daemon forwards ports by processes; None when there is none among `command_lines`."""
    daemons = [line for line in command_lines if line and Path(line[0]).name == "dockerd"]
    if not daemons:
        return None
    for argument in daemons[0][1:]:
        if argument.startswith("--userland-proxy"):
            return argument.partition("=")[2].lower() in ("", "true", "1", "t")
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Without a usable file the daemon runs on its defaults, and this one is on.
        return True
    return bool(settings.get("userland-proxy", True)) if isinstance(settings, dict) else True


def is_at_least(version: str, oldest: Sequence[int]) -> bool:
    """Whether "26.1.5+dfsg1" or "v2.26.1" is at least `oldest`; False for what is no version."""
    numbers = re.match(r"v?(\d+)(?:\.(\d+))?", version)
    return numbers is not None and [int(number or 0) for number in numbers.groups()] >= list(oldest)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
