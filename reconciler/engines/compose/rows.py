"""Converts Docker's rows and events into values of the core.

One row of `GET /containers/json` holds nearly all that a pass needs; health and exit code are parsed from Docker's status
text. Sources: Docker Engine API 1.43, `Status` of types.Container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reconciler.api.kinds import VAULT_GATEWAY, Ref
from reconciler.core import labels
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.build import PROJECT_PREFIX
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.names import FIRST_NET, GATEWAY_PROJECT
from reconciler.engines.errors import EngineError

COMPOSE_SERVICE: Final = "com.docker.compose.service"
COMPOSE_PROJECT: Final = "com.docker.compose.project"
COMPOSE_NUMBER: Final = "com.docker.compose.container-number"
COMPOSE_ONE_OFF: Final = "com.docker.compose.oneoff"

EVENTS: Final = (
    "create", "start", "die", "destroy", "pause", "unpause", "health_status", "rename", "connect", "disconnect",
    "tag", "untag", "delete", "pull", "load", "import",
)  # fmt: skip
"""The events that can change a plan. Docker sends many more, such as two for every health check."""

_EXIT_CODE: Final = re.compile(r"(?:Exited|Restarting) \((\d+)\)")
_DURATION: Final = (
    r"(?:Less than a |(?:About )?(?P<amount>an?|\d+) )(?P<unit>second|minute|hour|day|week|month|year)"
)
_UPTIME: Final = re.compile(f"Up {_DURATION}")
_ENDED: Final = re.compile(rf"Exited \(\d+\) {_DURATION}s? ago")
_UNIT_SECONDS: Final = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000,
}  # fmt: skip
_HEALTH: Final = {
    "(healthy)": Health.HEALTHY,
    "(unhealthy)": Health.UNHEALTHY,
    "(health: starting)": Health.STARTING,
}
_NONE: Final[frozenset[int]] = frozenset()
_NETWORK: Final = re.compile(rf"{PROJECT_PREFIX}([a-z0-9-]+)_")
_GATEWAY_NETWORK: Final = re.compile(rf"{FIRST_NET}{GATEWAY_PROJECT}([a-z0-9-]+)")


def read_row(
    row: Mapping[str, Any], networks: Mapping[str, str], now: datetime, *, stopping: bool
) -> Container | None:
    """A container from its row; None for one that Compose started for a single command.

    `networks` maps the engine's network names to those of the stack. Raises EngineError when the row is none.
    """
    try:
        return _read_row(row, networks, now, stopping=stopping)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise EngineError(f"a container of the engine's list was not understood: {error!r}") from error


def _read_row(
    row: Mapping[str, Any], networks: Mapping[str, str], now: datetime, *, stopping: bool
) -> Container | None:
    marks = row.get("Labels") or {}
    if marks.get(COMPOSE_ONE_OFF) == "True":
        return None
    status = row.get("Status") or ""
    exited = _EXIT_CODE.match(status)
    attached = (row.get("NetworkSettings") or {}).get("Networks") or {}
    mode = (row.get("HostConfig") or {}).get("NetworkMode") or ""
    return Container(
        id=row["Id"],
        name=row["Names"][0].lstrip("/") if row.get("Names") else row["Id"][:12],
        workload=marks.get(COMPOSE_SERVICE, ""),
        role=read_role(marks.get(labels.ROLE)),
        revision=marks.get(labels.REVISION, ""),
        state=State(row["State"]),
        health=next((health for text, health in _HEALTH.items() if text in status), Health.NONE),
        created=datetime.fromtimestamp(row["Created"], UTC),
        number=_number(marks.get(COMPOSE_NUMBER)) or 0,
        addresses={
            networks.get(name, name): body["IPAddress"]
            for name, body in attached.items()
            if body and body.get("IPAddress")
        },
        port=_number(marks.get(labels.PORT)),
        exit_code=int(exited[1]) if exited else None,
        started=_moment_in(_UPTIME, status, now),
        ended=_moment_in(_ENDED, status, now),
        slot=_number(marks.get(labels.SLOT)),
        joined=mode.partition(":")[2] if mode.startswith("container:") else None,
        namespace=_moment(marks.get(labels.NAMESPACE)),
        stopping=stopping,
        image=row.get("ImageID") or "",
        published=_published(row) if marks.get(labels.ROLE) == Role.GATEWAY else _NONE,
    )


def _published(row: Mapping[str, Any]) -> frozenset[int]:
    return frozenset(mapping["PublicPort"] for mapping in row.get("Ports") or () if mapping.get("PublicPort"))


def shared_namespaces(host_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The containers whose PID and IPC namespaces a container was created for; a row tells only of the network's."""
    modes = (str(host_config.get(key) or "") for key in ("PidMode", "IpcMode"))
    return tuple(mode.partition(":")[2] for mode in modes if mode.startswith("container:"))


def network_names(stack: Stack) -> Mapping[str, str]:
    """The engine's name of every network of the stack, and the stack's own."""
    networks = stack.document.get("networks", {})
    return {(body or {}).get("name") or f"{stack.project}_{name}": name for name, body in networks.items()}


def external_networks(stack: Stack) -> frozenset[str]:
    """The networks that others make, by their names in the stack. An engine that is no manager of a Swarm knows an overlay
    among them from when a container joins it.
    """
    return frozenset(
        name for name, body in stack.document.get("networks", {}).items() if (body or {}).get("external")
    )


def service_of_event(event: Mapping[str, Any]) -> str | None:
    """The label of the object that an event is about, if any; None for an event that is not understood."""
    actor = event.get("Actor")
    attributes = actor.get("Attributes") if isinstance(actor, Mapping) else None
    if not isinstance(attributes, Mapping):
        return None
    if event.get("Type") == "network":
        network = str(attributes.get("name"))
        if match := _GATEWAY_NETWORK.fullmatch(network):
            return Ref(VAULT_GATEWAY, match[1]).label
        match = _NETWORK.match(network)
        return match[1] if match else None
    name = attributes.get(labels.SERVICE)
    return name if isinstance(name, str) else None


def read_role(text: str | None) -> Role:
    """The role that a label says; that of a container of an earlier release, without one."""
    return Role(text) if text in set(Role) else Role.DEPENDENCY


def _moment_in(pattern: re.Pattern[str], status: str, now: datetime) -> datetime | None:
    """The time in Docker's status text ("Up 5 minutes"), as exact as the text: never too early."""
    found = pattern.match(status)
    if not found:
        return None
    amount = 1 if found["amount"] in ("a", "an") else int(found["amount"] or 0)
    return now - timedelta(seconds=amount * _UNIT_SECONDS[found["unit"]])


def _moment(text: str | None) -> datetime | None:
    """A time that the controller wrote; None for anything else."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def read_time(text: str) -> datetime:
    """Docker's RFC 3339 with nanoseconds, of which a datetime keeps six digits."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=UTC)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
