"""The agents of nodes as services of the Swarm: one task each, on one node, with a token that no other node gets.

They are no global service: each has a secret of its own, and Swarm gives a secret only to the nodes that run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from reconciler.core.names import AGENT_PORT, AGENT_STATE, ENGINE_PORT
from reconciler.engines.compose.api import DEFAULT_SOCKET
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.files import SwarmFile, reference
from reconciler.engines.swarm.images import find_image
from reconciler.engines.swarm.marks import NODE, PROJECT
from reconciler.engines.swarm.placement import on_node
from reconciler.engines.swarm.removing import remove_unused_files
from reconciler.engines.swarm.rows import newest_first
from reconciler.engines.swarm.shortening import FILE_NAME, SERVICE_NAME, shortened
from reconciler.engines.swarm.spec import SECOND

__all__ = ["AGENTS", "AgentServices", "agent_names"]

AGENTS: Final = "vault-agents"
"""The stack of all agents."""
TOKEN: Final = "token"
CONTROLLER: Final = "--controller"
"""The option with the ADDRESS:PORT where an agent enrols."""
GRACE_SECONDS: Final = 10
NEEDED: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER")
"""It writes files that belong to the user of HAProxy, and opens the sockets that this user has made."""


def agent_names(nodes: Iterable[Node]) -> Mapping[str, str]:
    """The name of the agent of each node by the node's ID: its hostname, with the ID if another node has the same. A node
    that has joined again has it without, and its former entry, which is down, with the ID.
    """
    alike: dict[str, list[Node]] = {}
    for node in nodes:
        alike.setdefault(_plain(node.hostname or node.name), []).append(node)
    found: dict[str, str] = {}
    for name, group in alike.items():
        candidates = group if len(group) == 1 else [node for node in group if node.is_up]
        for node in group:
            found[node.id] = name if candidates == [node] else f"{name[:54]}-{node.id[:8]}"
    return found


def _plain(hostname: str) -> str:
    letters = "".join(each if each.isascii() and each.isalnum() else "-" for each in hostname.lower())
    return letters.strip("-")[:63].strip("-") or "node"


class AgentServices:
    """The agents that are deployed. Threads may share it. `image` is theirs, `controller` says where they enrol."""

    def __init__(self, api: SwarmApi, image: str, controller: Callable[[], str]) -> None:
        self._api = api
        self._image = image
        self._controller = controller

    def current(self) -> Mapping[str, bool]:
        """The IDs of the nodes that have an agent, and whether it is as it would be deployed now, but for where it enrols:
        it has done that, and a controller on another node is no reason to do so again.
        """
        rows = self._api.services(AGENTS)
        found = find_image(self._api.docker, self._image) if rows else None
        return {
            marks[NODE]: found is None or self._runs(row, found.reference)
            for row in rows
            if NODE in (marks := row["Spec"].get("Labels") or {})
        }

    def trouble(self, node: Node) -> str:
        """Why the agent of a node does not start; "" if nothing is known."""
        service = next((row["ID"] for row in self._api.services(AGENTS) if _is_for(row, node)), "")
        tasks = newest_first(self._api.tasks("", service)) if service else []
        return next((str(task["Status"]["Err"]) for task in tasks if task["Status"].get("Err")), "")

    def _runs(self, row: Mapping[str, Any], image: str) -> bool:
        container = row["Spec"]["TaskTemplate"]["ContainerSpec"]
        return (container["Image"], container["Args"]) == (image, _arguments(_enrols_at(row)))

    def enrols_here(self, node: Node) -> bool:
        """Whether the agent of a node enrols where this controller is."""
        rows = (row for row in self._api.services(AGENTS) if _is_for(row, node))
        return any(_enrols_at(row) == self._controller() for row in rows)

    def deploy(self, node: Node, name: str, token: str) -> None:
        """Have the agent of a node run with this token. Raises EngineError."""
        found = find_image(self._api.docker, self._image)
        full = f"{AGENTS}-{name}-{sha256(token.encode()).hexdigest()[:12]}"
        secret = SwarmFile("secrets", shortened(full, FILE_NAME), TOKEN, token.encode())
        there = self._api.files("secrets", AGENTS).get(secret.name)
        identifier = there["ID"] if there else self._api.create_file("secrets", secret.spec(AGENTS))
        wanted = self._spec(
            node, name, found.reference if found else self._image, reference(secret, identifier)
        )
        row = next((row for row in self._api.services(AGENTS) if row["Spec"]["Name"] == wanted["Name"]), None)
        if row is None:
            self._api.create_service(wanted)
        else:
            self._api.change_service(row["ID"], lambda old: wanted)
        remove_unused_files(self._api, AGENTS)

    def _spec(self, node: Node, name: str, image: str, token: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "Name": shortened(f"{AGENTS}-{name}", SERVICE_NAME),
            "Labels": {PROJECT: AGENTS, NODE: node.id},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": image,
                    "Args": _arguments(self._controller()),
                    "User": "0:0",
                    "ReadOnly": True,
                    "CapabilityDrop": ["ALL"],
                    "CapabilityAdd": [f"CAP_{each}" for each in NEEDED],
                    "Privileges": {"NoNewPrivileges": True},
                    "Healthcheck": {"Test": ["NONE"]},
                    "StopGracePeriod": GRACE_SECONDS * SECOND,
                    "Secrets": [token],
                    "Mounts": [
                        _bind(AGENT_STATE, {"CreateMountpoint": True}),
                        _bind(DEFAULT_SOCKET, {}),
                        {"Type": "tmpfs", "Target": "/tmp"},
                    ],
                },
                "Placement": {"Constraints": [on_node(node.id)]},
                "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "UpdateConfig": {"Parallelism": 1, "Order": "stop-first"},
            "EndpointSpec": {"Mode": "dnsrr", "Ports": [_open(AGENT_PORT), _open(ENGINE_PORT)]},
        }


def _arguments(controller: str) -> list[str]:
    """What an agent runs that enrols there."""
    words = ["agent", "run", CONTROLLER, controller, "--token-file", f"/run/secrets/{TOKEN}"]
    return ["--state-dir", AGENT_STATE, *words, "--engine", DEFAULT_SOCKET]


def _enrols_at(row: Mapping[str, Any]) -> str:
    arguments = row["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"] or ["", ""]
    return str(arguments[arguments.index(CONTROLLER) + 1]) if CONTROLLER in arguments[:-1] else ""


def _is_for(row: Mapping[str, Any], node: Node) -> bool:
    return (row["Spec"].get("Labels") or {}).get(NODE) == node.id


def _bind(path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"Type": "bind", "Source": path, "Target": path, "BindOptions": dict(options)}


def _open(port: int) -> dict[str, Any]:
    return {"Protocol": "tcp", "TargetPort": port, "PublishedPort": port, "PublishMode": "host"}
