"""From a workload of a stack to the spec of the Swarm service that is one instance of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.core import labels
from reconciler.core.desired.stack import JSON, Role, Stack, Workload
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.files import SwarmFile, files_of, reference
from reconciler.engines.swarm.homes import Homes
from reconciler.engines.swarm.images import SwarmImage, find_image
from reconciler.engines.swarm.marks import ANONYMOUS, CHECKED, IMAGE, NUMBER, PINNED, PROJECT, WORKLOAD
from reconciler.engines.swarm.networks import attachments
from reconciler.engines.swarm.placement import home_of, on_node
from reconciler.engines.swarm.shortening import SERVICE_NAME, shortened
from reconciler.engines.swarm.spec import host_ports, task_template, tmpfs_mounts
from reconciler.engines.swarm.volumes import local_volumes, mounts_of

__all__ = ["Former", "Making", "instance_name"]


@dataclass(frozen=True, slots=True)
class Former:
    """What an instance leaves to the one in its place: its number, its volumes without a name, and their node."""

    number: int = 1
    volumes: Mapping[str, str] = field(default_factory=dict)
    node: str = ""


@dataclass(frozen=True)
class Making:
    """Makes the instances of one stack; `document` is that of `docker compose config`."""

    stack: Stack
    document: JSON
    api: SwarmApi
    nodes: Mapping[str, Node]
    own_node: str

    def spec(self, workload: Workload, former: Former, image: str = "") -> dict[str, Any]:
        """The spec of a service that runs no task yet; secrets, configs and records that it needs are made.

        `image`: the ID of what it is created from, where that is no longer what the definition's tag means. Raises
        RefusedError for what Swarm cannot do, EngineError for the rest.
        """
        stack, service = self.stack, self.document["services"][workload.name]
        found = find_image(self.api.docker, image or workload.image)
        if found is None:
            raise EngineError(f"image {image or workload.image} of {workload.name!r} is not on this node")
        files = files_of(workload.name, workload.revision, service, self.document, stack.secret_files)
        keeps = workload.role is Role.DEPENDENCY
        mounts = mounts_of(
            service,
            self.document,
            declared=found.volumes,
            kept=former.volumes,
            named=(lambda: f"{stack.project}_{workload.name}-{secrets.token_hex(8)}") if keeps else None,
            replaced=stack.secret_files.keys(),
        )
        has_own = any(ANONYMOUS in mount.get("VolumeOptions", {}).get("Labels", {}) for mount in mounts)
        node = self._node(workload, service, former, has_own=has_own)
        template = task_template(
            workload.name,
            service,
            image=found.reference,
            mounts=[*mounts, *tmpfs_mounts(workload.name, service)],
            files=self._provided(files),
            networks=attachments(workload.name, service, self.document.get("networks") or {}),
            constraints=[on_node(node)] if node else [],
        )
        is_checked = _is_checked(service, found)
        ports = host_ports(service)
        return {
            "Name": instance_name(stack.project, workload.name, former.number),
            "Labels": {
                **((service.get("deploy") or {}).get("labels") or {}),
                **_ours(service),
                PROJECT: stack.project,
                WORKLOAD: workload.name,
                NUMBER: str(former.number),
                IMAGE: found.id,
                **({CHECKED: "true"} if is_checked else {}),
                **({PINNED: node} if node else {}),
            },
            "TaskTemplate": template,
            "Mode": {"Replicated": {"Replicas": 0}},
            # An instance is never updated in place, so that Swarm replaces only what died.
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first"},
            "EndpointSpec": {"Mode": "dnsrr", **({"Ports": ports} if ports else {})},
        }

    def _node(self, workload: Workload, service: JSON, former: Former, *, has_own: bool) -> str:
        """The node of its local volumes; empty if it has none."""
        volumes = local_volumes(service, self.document)
        if not volumes and not has_own:
            return ""
        homes = Homes(self.api, self.stack.project)
        recorded = dict(homes.of(volumes))
        if former.node and former.volumes:
            recorded["volumes without a name"] = former.node
        constraints = ((service.get("deploy") or {}).get("placement") or {}).get("constraints") or ()
        node = home_of(f"{workload.name!r}", recorded, constraints, self.nodes, self.own_node)
        homes.record(volumes, node)
        return node

    def _provided(self, files: tuple[SwarmFile, ...]) -> dict[str, Any]:
        """References to files, which are created if they are missing."""
        found: dict[str, Any] = {}
        for kind, key in (("secrets", "Secrets"), ("configs", "Configs")):
            mine = [file for file in files if file.kind == kind]
            if not mine:
                continue
            there = {name: row["ID"] for name, row in self.api.files(kind, self.stack.project).items()}
            found[key] = []
            for file in mine:
                identifier = there.get(file.name) or self.api.create_file(kind, file.spec(self.stack.project))
                there[file.name] = identifier
                found[key].append(reference(file, identifier))
        return found


def instance_name(project: str, workload: str, number: int) -> str:
    """The name of an instance's service."""
    end = f"-{number}"
    return shortened(f"{project}-{workload}", SERVICE_NAME - len(end)) + end


def _ours(service: JSON) -> Mapping[str, str]:
    ours = (labels.SERVICE, labels.ROLE, labels.REVISION, labels.PORT)
    marks = service.get("labels") or {}
    return {name: str(marks[name]) for name in ours if name in marks}


def _is_checked(service: JSON, image: SwarmImage) -> bool:
    check = service.get("healthcheck") or {}
    return not check.get("disable") and (bool(check.get("test")) or image.is_checked)
