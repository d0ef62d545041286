"""Builds workloads from Compose services: adds labels, moves ports to the proxy, and computes the revision.

Services of a fragment and of the front door are treated alike: each becomes a Workload for the plan and a labelled
definition for the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.core import labels
from reconciler.core.compose.environment import read_labels
from reconciler.core.compose.fragment import BuildError, Fragment, Service, shared_with
from reconciler.core.compose.handed import handed_over
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.compose.needs import COMPLETED
from reconciler.core.compose.networks import fixed_addresses
from reconciler.core.compose.ports import Port, read_ports
from reconciler.core.desired.revision import digest, revision_of, revisions_of
from reconciler.core.desired.secret_files import NO_SECRET_FILES, SecretFiles, mounted_at
from reconciler.core.desired.stack import DEFAULT_STOP_GRACE, Role, Workload
from reconciler.core.names import VAULT_NET

MAX_STOP_GRACE: Final = 86400.0
OVERRIDE_PREFIX: Final = "VAULT_"

FileDigest = Callable[[str], str | None]

_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)")
_UNIT_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, slots=True)
class Part:
    """One service of a stack: what to plan with, and its definition in the document."""

    workload: Workload
    definition: Service


@dataclass(frozen=True, slots=True)
class FragmentReader:
    """Makes parts from the services of one fragment.

    `defaults` are the settings that the plugin has itself. `port` and `replicas` are what it and the settings come to; a
    service that says otherwise is believed.
    `overlaps`: web replicas are started while those that they replace still run. `bind`: the address of the host that ports
    are published on, empty for all.
    """

    service: VaultService
    defaults: frozenset[str]
    fragment: Fragment
    settings: Mapping[str, str]
    port: int
    replicas: int
    overlaps: bool
    digest_file: FileDigest
    key: bytes = b""
    secret_files: SecretFiles = NO_SECRET_FILES
    bind: str = ""

    def part(self, name: str) -> Part:
        """The part that this service of the fragment becomes. Raises BuildError."""
        fragment, body = self.fragment, self.fragment.services[name]
        is_web, nature = name in fragment.web, _nature(body, fragment.conditions.get(name, frozenset()))
        definition = self._with_environment(body, is_web=is_web)
        # The engine would restart a completed job forever.
        definition.setdefault("restart", "no" if nature.awaited else "unless-stopped")
        replicas = _replicas(body, self.replicas if is_web and len(fragment.web) == 1 else 1)
        port = self._take_over(name, definition, replicas) if is_web else None
        if secrets := self.secret_files.of(name, is_web=is_web):
            directory = self.secret_files.directory(secrets, self.key)
            definition["volumes"] = mounted_at(name, definition, directory)
        if is_web and self.service.spec.udp:
            self._publish(name, definition, replicas)
        if (fixed := fixed_addresses(body)) and (replicas > 1 or (is_web and self.overlaps)):
            raise BuildError(
                f"services.{name}.{fixed[0]} belongs to one container, and {name!r} has {_beside(replicas)}; leave it out"
                + (", or use one replica and strategy type Recreate" if is_web else "")
            )
        shared = shared_with(body)
        self._check_owners(name, shared)
        content = _with_files(definition, self.digest_file, fragment)
        revisions = revisions_of(content, self.key)
        workload = Workload(
            name=name,
            role=Role.WEB if is_web else Role.JOB if nature.is_job else Role.DEPENDENCY,
            replicas=replicas,
            image=definition["image"],
            revision=revisions[0],
            revisions=self._former_revision(name, content, is_web=is_web).union(revisions),
            networks=frozenset(definition.get("networks", ())),
            needs=fragment.needs[name],
            joins=shared.get("network_mode", ""),
            shares=frozenset(owner for key, owner in shared.items() if key != "network_mode"),
            port=port,
            stop_grace=_seconds(definition.get("stop_grace_period")),
            one_shot=nature.one_shot and not is_web,
            awaited=nature.awaited and not is_web,
        )
        return labelled(self.service.name, workload, definition, body.get("container_name"))

    def _check_owners(self, name: str, shared: Mapping[str, str]) -> None:
        """Of several replicas Compose would pick any one, and the others would be served without it."""
        for key, owner in shared.items():
            own = self.fragment.services[owner]
            is_only_web = owner in self.fragment.web and len(self.fragment.web) == 1
            replicas = _replicas(own, self.replicas if is_only_web else 1)
            if replicas > 1:
                raise BuildError(
                    f"services.{name}.{key}: {owner!r} has {replicas} replicas, and a namespace of one of them is "
                    f"not that of the others; share that of a service that runs once"
                )

    def _former_revision(self, name: str, content: Service, *, is_web: bool) -> frozenset[str]:
        """The revision that an earlier release gave this service, if it read its environment in another way."""
        former = self.fragment.former_environments.get(name)
        if former is None:
            return frozenset()
        before = self._with_environment({"environment": former}, is_web=is_web)
        return frozenset({revision_of({**content, **before})})

    def _with_environment(self, body: Service, *, is_web: bool) -> Service:
        """The service with the environment that the plugin did not set itself.

        The plugin's defaults reach all its services; what the user wrote reaches those that answer web requests.
        """
        wanted = set(self.defaults)
        if is_web:
            wanted |= {name for name in self.settings if not name.startswith(OVERRIDE_PREFIX)}
        inherited = {name: self.settings[name] for name in sorted(wanted)}
        return {**body, "environment": {**inherited, **body["environment"]}}

    def _take_over(self, name: str, definition: Service, replicas: int) -> int:
        """Fit a web service behind the proxy, which publishes its port instead; returns the port inside its containers."""
        warnings, spec = self.fragment.warnings, self.service.spec
        if "network_mode" in definition:
            raise BuildError(
                f"service {name!r} has a network_mode, but HAProxy reaches it by its address in {VAULT_NET!r}; leave it out"
            )
        if VAULT_NET not in definition["networks"]:
            definition["networks"] = {**definition["networks"], VAULT_NET: {}}
            warnings.append(f"service {name!r} joins {VAULT_NET!r}, where HAProxy reaches it")
        # Its name and ports were never part of a web service's revision.
        definition.pop("container_name", None)
        ports = read_ports(definition.pop("ports", None))
        port = self._listens_on(name, ports)
        if ports:
            where = "for its routes" if spec.is_routed else f"on port {spec.ports.http}"
            warnings.append(
                f"service {name!r}: its published ports move to HAProxy, which serves its {replicas} "
                f"{'replica' if replicas == 1 else 'replicas'} {where}"
            )
        for other in ports:
            if other.target != port:
                warnings.append(
                    f"services.{name}.ports{other.place}: {other} is not published; HAProxy serves HTTP on {port} only"
                )
        definition["deploy"] = {**(definition.get("deploy") or {}), "replicas": replicas}
        if spec.restarted_at:
            definition["labels"] = {
                **read_labels(definition.get("labels")),
                labels.RESTARTED_AT: spec.restarted_at,
            }
        return port

    def _publish(self, name: str, definition: Service, replicas: int) -> None:
        """Have the engine publish the UDP ports of the spec. Raises BuildError where two containers would need them."""
        ports = self.service.spec.udp
        several = f"the services {', '.join(self.fragment.web)}" if len(self.fragment.web) > 1 else ""
        if not several and (replicas > 1 or self.overlaps):
            several = _beside(replicas)
        if several:
            raise BuildError(
                f"spec.udp[0].port: one container can publish {ports[0].port}/udp, and there are {several}; use one "
                "replica and strategy type Recreate"
            )
        where = f"[{self.bind}]:" if ":" in self.bind else f"{self.bind}:" if self.bind else ""
        definition["ports"] = [f"{where}{each.port}:{each.target}/udp" for each in ports]
        listed = ", ".join(str(each.port) for each in ports)
        self.fragment.warnings.append(
            f"spec.udp: the engine publishes {listed} of {name!r}, past HAProxy; datagrams are lost while it is replaced"
        )

    def _listens_on(self, name: str, ports: Sequence[Port]) -> int:
        """The port of the web server. Raises BuildError for one that the proxy could never serve."""
        for port in ports:
            if not port.may_be_http and port.target != self.port:
                raise BuildError(
                    f"services.{name}.ports{port.place}: {port} cannot be served by HAProxy, which speaks HTTP; leave it "
                    "out, or serve it by a service of its own"
                )
            if port.protocol != "tcp":
                raise BuildError(
                    f"services.{name}.ports{port.place}: {port} cannot be served by HAProxy, which speaks HTTP over TCP; "
                    "leave it out, or publish it by spec.udp"
                )
        # "9000:8080" says what the application listens on better than an override that only moved the host's side.
        targets = {port.target for port in ports}
        return targets.pop() if self.port not in targets and len(targets) == 1 else self.port


@dataclass(frozen=True, slots=True)
class _Nature:
    """Whether a service runs once, and whether that is all that it is there for."""

    one_shot: bool
    awaited: bool
    is_job: bool


def _nature(body: Service, conditions: frozenset[str]) -> _Nature:
    """A service runs once when another one waits for its end, or when it is not to be restarted.

    One that is not to be restarted may still be meant to go on running: it has a health check, or others wait for its
    start. Then it is a dependency, and if it ends with 0 all the same, it is complete.
    """
    awaited = COMPLETED in conditions
    # A plugin may write YAML's `restart: no` as what YAML makes of it.
    says_no = body.get("restart") in ("no", False)
    has_check = bool(body.get("healthcheck")) and not body["healthcheck"].get("disable")
    return _Nature(awaited or says_no, awaited, awaited or (says_no and not has_check and not conditions))


def _replicas(body: Service, default: int) -> int:
    value = (body.get("deploy") or {}).get("replicas", body.get("scale", default))
    return default if value is None else int(value)


def _seconds(value: object) -> float:
    if isinstance(value, int | float):
        return min(max(0.0, float(value)), MAX_STOP_GRACE)
    parts = _DURATION_PART.findall(str(value)) if value else []
    seconds = sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in parts)
    return min(seconds, MAX_STOP_GRACE) if parts else DEFAULT_STOP_GRACE


def _with_files(definition: Service, digest_file: FileDigest, fragment: Fragment) -> Service:
    """The definition with what its mounts and configs contain, since a change of those changes the workload."""
    content: dict[str, Any] = {}
    for mount in read_mounts(definition.get("volumes")):
        if mount.source.startswith("/") and (found := digest_file(mount.source)):
            content[mount.source] = found
    for section in ("configs", "secrets"):
        for item in definition.get(section, ()):
            name = str(item.get("source") if isinstance(item, Mapping) else item)
            body = fragment.top_level[section][name]
            content[f"{section}.{name}"] = digest([body, digest_file(str(body.get("file") or ""))])
    return {**definition, "x-content": content} if content else definition


def labelled(
    service: str, workload: Workload, definition: Service, container_name: str | None = None
) -> Part:
    """The part of the stack of `service` that a workload comes to, with the labels that its containers are found by."""
    ours = {labels.SERVICE: service, labels.ROLE: workload.role.value, labels.REVISION: workload.revision}
    if workload.port is not None:
        ours[labels.PORT] = str(workload.port)
    handed = handed_over(definition, container_name)
    return Part(workload, {**handed, "labels": {**handed.get("labels", {}), **ours}})


def stopped(part: Part) -> Part:
    """The same part without instances."""
    deploy = {**(part.definition.get("deploy") or {}), "replicas": 0}
    return Part(replace(part.workload, replicas=0), {**part.definition, "deploy": deploy})


def _beside(replicas: int) -> str:
    return f"{replicas} replicas" if replicas > 1 else "another one beside it while it is replaced"
