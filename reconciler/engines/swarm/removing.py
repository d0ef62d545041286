"""Removing what instances have used (volumes, networks, secrets, configs), once the tasks are gone that still hold them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from reconciler.core import labels
from reconciler.core.desired.stack import Role
from reconciler.engines.compose.rows import read_role
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.marks import NODE, VOLUME
from reconciler.engines.swarm.running import LOOK_SECONDS, stop, wait_until_ended
from reconciler.engines.swarm.volumes import anonymous_of

__all__ = ["remove_project", "remove_unused_files", "remove_volumes"]

RELEASE_SECONDS: Final = 30.0
"""For how long a removal waits for the task that has used it."""
STILL_USED: Final = ("in use", "active endpoints")
KINDS: Final = ("secrets", "configs")

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]


def remove_project(
    api: SwarmApi, project: str, remove_network: Callable[[str], None], own_node: str, *, volumes: bool
) -> None:
    """Stop and remove all instances of a project, web replicas first, and what they alone have used. Volumes of other nodes
    stay, and networks with containers of other nodes, which warnings list.
    """
    rows = api.services(project)
    for roles in ((Role.WEB,), (Role.JOB, Role.DEPENDENCY)):
        group = [row for row in rows if _role(row) in roles]
        stop(api, [row["ID"] for row in group])
        wait_until_ended(api, group)
        for row in group:
            api.remove_service(row["ID"])
            if volumes or Role.WEB in roles:
                remove_volumes(api, anonymous_of(row["Spec"]).values())
    for row in api.networks(project):
        _remove_network_or_warn(api, row, remove_network)
    _remove_files(api, project, own_node, volumes=volumes)
    if volumes:
        remove_volumes(api, api.volumes(project))


def remove_volumes(api: SwarmApi, names: Iterable[str]) -> None:
    """Remove volumes, as far as they are on this node. Raises EngineError for one that is still used after a while."""
    for name in names:
        _once_released(lambda name=name: api.remove_volume(name))  # type: ignore[misc]


def remove_unused_files(api: SwarmApi, project: str) -> None:
    """Remove secrets and configs that no service uses any more."""
    used: set[str] = set()
    for row in api.services(project):
        container = row["Spec"]["TaskTemplate"]["ContainerSpec"]
        used |= {each["SecretID"] for each in container.get("Secrets") or ()}
        used |= {each["ConfigID"] for each in container.get("Configs") or ()}
    for kind in KINDS:
        for row in api.files(kind, project).values():
            if row["ID"] not in used and not _is_record(row):
                # Swarm refuses it if a service was given it meanwhile.
                with suppress(EngineError):
                    api.remove_file(kind, row["ID"])


def _remove_files(api: SwarmApi, project: str, own_node: str, *, volumes: bool) -> None:
    nodes = api.nodes()
    for kind in KINDS:
        for row in api.files(kind, project).values():
            if not _is_record(row):
                api.remove_file(kind, row["ID"])
            elif volumes:
                api.remove_file(kind, row["ID"])
                _warn_of_volume(row, nodes, own_node)


def _warn_of_volume(row: Row, nodes: Mapping[str, Node], own_node: str) -> None:
    marks = row["Spec"]["Labels"]
    if (home := marks.get(NODE)) != own_node:
        name = nodes[home].name if home in nodes else home
        _log.warning("volume %s stays on node %s: there, `docker volume rm` removes it", marks[VOLUME], name)


def _once_released(remove: Callable[[], None]) -> None:
    """Remove what a task that ends may still use. Raises the last EngineError after a deadline."""
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            return remove()
        except EngineError as error:
            if not any(words in str(error) for words in STILL_USED) or time.monotonic() > deadline:
                raise
        time.sleep(LOOK_SECONDS)


def _remove_network_or_warn(api: SwarmApi, row: Row, remove: Callable[[str], None]) -> None:
    """A network stays that HAProxies of another node use, where a controller was before: no other node can end them."""
    try:
        _remove_network(api, row, remove)
    except EngineError as error:
        if not any(words in str(error) for words in STILL_USED):
            raise
        _log.warning("network %s stays, because containers of another node use it: %s", row["Name"], error)


def _remove_network(api: SwarmApi, row: Row, remove: Callable[[str], None]) -> None:
    """Remove an overlay, also one that a container of this node has just left: for a moment the engine answers then that
    there is none. Raises EngineError if it is still there after a deadline.
    """
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        _once_released(lambda: remove(row["Id"]))
        if api.network(row["Name"]) is None:
            return
        if time.monotonic() > deadline:
            raise EngineError(f"network {row['Name']} is still there {RELEASE_SECONDS:g} s after its removal")
        time.sleep(LOOK_SECONDS)


def _is_record(row: Row) -> bool:
    """Whether a config says where a volume is."""
    return VOLUME in (row["Spec"].get("Labels") or {})


def _role(row: Row) -> Role:
    return read_role((row["Spec"].get("Labels") or {}).get(labels.ROLE))
