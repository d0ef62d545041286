"""The controller itself as a service of the Swarm: one task, on a manager.

Its state directory is a directory of the node, at the same path inside and outside, because HAProxy's containers mount
parts of it. It is a cache: on another node the controller starts with an empty one. What has to follow it is in the Swarm:
the key of revisions as a secret, the objects, and, encrypted to an identity that is another secret, files of the state
directory (kept.py).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler.engines.compose.api import DEFAULT_SOCKET, DockerApi
from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.images import find_image
from reconciler.engines.swarm.kept import STATE_MARK
from reconciler.engines.swarm.rows import newest_first
from reconciler.engines.swarm.spec import SECOND

__all__ = ["NAME", "ControllerService", "ControllerTask", "Wish"]

NAME: Final = "vault-controller"
KEY: Final = "vault-revision-key"
KEY_BYTES: Final = 32
STATE_KEY: Final = "vault-state-key"
STATE_KEY_VARIABLE: Final = "VAULT_STATE_KEY"
RUNTIME: Final = "/run/vault-reconciler"
SECRETS: Final = "/run/secrets"
GRACE_SECONDS: Final = 90
CAPABILITIES: Final = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL")
"""Root needs them for files of HAProxy's user; it has no others."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the service is to be. `arguments` are those of `vaultctl run`; `secrets` are names of the Swarm's secrets, which
    the controller finds in /run/secrets. `listen` is where it answers its own health check.
    """

    image: str
    state_dir: Path
    arguments: Sequence[str] = ()
    secrets: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    listen: str = "127.0.0.1:9180"


@dataclass(frozen=True, slots=True)
class ControllerTask:
    """The newest task of the controller: its state in Swarm's words, its node, and why it failed."""

    image: str
    state: str
    node: str
    problem: str
    id: str


class ControllerService:
    """The service of the controller, by one manager. `new_identity` makes the text of a file with an age identity."""

    def __init__(self, docker: DockerApi, new_identity: Callable[[], str]) -> None:
        self._docker = docker
        self._api = SwarmApi(docker)
        self._made: Mapping[str, Callable[[], str]] = {
            KEY: lambda: secrets.token_hex(KEY_BYTES),
            STATE_KEY: new_identity,
        }

    def install(self, wish: Wish) -> None:
        """Create the service, and its keys where the Swarm has none. Raises RefusedError if the service exists."""
        self._api.own_node()
        if self._api.service(NAME) is not None:
            raise RefusedError(f"service {NAME} exists already: see `vaultctl swarm status`, or upgrade it")
        known = self._secrets()
        if missing := [name for name in wish.secrets if name not in known]:
            raise RefusedError(
                f"the Swarm has no secret {missing[0]!r}: docker secret create {missing[0]} FILE"
            )
        known = self._with_keys(known)
        self._api.create_service(self._spec(wish, known))

    def _with_keys(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """These secrets and the keys, of which those that are missing are made."""
        missing = {
            name: self._api.create_file(
                "secrets", {"Name": name, "Data": base64.b64encode(make().encode()).decode()}
            )
            for name, make in self._made.items()
            if name not in known
        }
        return {**known, **missing}

    def upgrade(self, image: str) -> None:
        """Run another image. A service that an earlier release has installed gets the key of its state, too.

        Raises RefusedError if there is no such service.
        """
        if self._api.service(NAME) is None:
            raise RefusedError(f"there is no service {NAME}: `vaultctl swarm install` creates it")
        reference, known = self._reference(image), self._with_keys(self._secrets())

        def changed(spec: dict[str, Any]) -> Mapping[str, Any]:
            template = spec["TaskTemplate"]
            container = {**template["ContainerSpec"], "Image": reference}
            if all(each["SecretName"] != STATE_KEY for each in container["Secrets"]):
                container["Secrets"] = [*container["Secrets"], _mounted(STATE_KEY, known[STATE_KEY])]
                container["Env"] = [*container["Env"], f"{STATE_KEY_VARIABLE}={SECRETS}/{STATE_KEY}"]
            return {**spec, "TaskTemplate": {**template, "ContainerSpec": container}}

        if self._api.change_service(NAME, changed) is None:
            raise RefusedError(f"there is no service {NAME}: `vaultctl swarm install` creates it")

    def uninstall(self) -> bool:
        """Remove the service; whether it was there. What it has made stays, with the key of revisions and the objects."""
        was_there = self._api.service(NAME) is not None
        self._api.remove_service(NAME)
        return was_there

    def forget_state(self) -> bool:
        """Remove what was encrypted for it, and the key; whether there was one. Raises EngineError while it runs."""
        identifier = self._secrets().get(STATE_KEY)
        if identifier is not None:
            self._api.remove_file("secrets", identifier)
        for row in self._api.records(STATE_MARK):
            self._api.remove_file("configs", row["ID"])
        return identifier is not None

    def task(self) -> ControllerTask | None:
        """Its newest task; None without the service, or before Swarm has made one."""
        tasks = newest_first(self._api.tasks("", NAME)) if self._api.service(NAME) else []
        if not tasks:
            return None
        newest = tasks[0]
        node = self._api.nodes().get(newest.get("NodeID") or "")
        status = newest["Status"]
        return ControllerTask(
            image=newest["Spec"]["ContainerSpec"]["Image"],
            state=status["State"],
            node=node.name if node else "",
            problem=status.get("Err")
            or next((t["Status"]["Err"] for t in tasks[1:] if t["Status"].get("Err")), ""),
            id=newest["ID"],
        )

    def has_ended(self) -> bool:
        """Whether no task of it can run any more, as far as its node tells."""
        filters = {"service": [NAME], "desired-state": ["running"]}
        return not self._docker.read("list tasks", "/tasks", query={"filters": filters}, missing=[])

    def _secrets(self) -> Mapping[str, str]:
        rows = self._docker.read("list secrets", "/secrets")
        return {row["Spec"]["Name"]: row["ID"] for row in rows}

    def _reference(self, image: str) -> str:
        found = find_image(self._docker, image)
        # What is not here yet is pulled by the node that the task comes to.
        return found.reference if found else image

    def _spec(self, wish: Wish, known: Mapping[str, str]) -> Mapping[str, Any]:
        state = str(wish.state_dir)
        environment = {
            "VAULT_STATE_DIR": state,
            "VAULT_LISTEN": wish.listen,
            "VAULT_REVISION_KEY": f"{SECRETS}/{KEY}",
            STATE_KEY_VARIABLE: f"{SECRETS}/{STATE_KEY}",
            "HOME": "/tmp",
            **(wish.environment or {}),
        }
        container = {
            "Image": self._reference(wish.image),
            "Args": ["run", "--engine", "swarm", *wish.arguments],
            "Env": [f"{name}={value}" for name, value in environment.items()],
            # Access to the engine's socket is root's equal, and its group is another one on each node.
            "User": "0:0",
            "CapabilityDrop": ["ALL"],
            "CapabilityAdd": list(CAPABILITIES),
            "Privileges": {"NoNewPrivileges": True},
            "ReadOnly": True,
            "Mounts": [
                {"Type": "bind", "Source": DEFAULT_SOCKET, "Target": DEFAULT_SOCKET},
                {"Type": "bind", "Source": state, "Target": state, "BindOptions": {"CreateMountpoint": True}},
                {"Type": "tmpfs", "Target": "/tmp"},
                {"Type": "tmpfs", "Target": RUNTIME, "TmpfsOptions": {"Mode": 0o700}},
            ],
            "Secrets": [_mounted(name, known[name]) for name in (*self._made, *wish.secrets)],
            "StopGracePeriod": GRACE_SECONDS * SECOND,
        }
        return {
            "Name": NAME,
            "Labels": {},
            "TaskTemplate": {
                "ContainerSpec": container,
                "RestartPolicy": {"Condition": "any", "Delay": 2 * SECOND, "MaxAttempts": 0},
                "Placement": {"Constraints": ["node.role==manager"]},
                # /metrics and /healthz stay on the loopback, and ports in use are detected on the host.
                "Networks": [{"Target": "host"}],
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            # The former one ends first, and gives the lease back.
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first"},
        }


def _mounted(name: str, identifier: str) -> Mapping[str, Any]:
    place = {"Name": name, "UID": "0", "GID": "0", "Mode": 0o400}
    return {"SecretID": identifier, "SecretName": name, "File": place}
