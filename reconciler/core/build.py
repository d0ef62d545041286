"""From a VaultService and its plugin to the whole desired stack.

The only place where settings are resolved and where the fragment meets the base stack. Pure: secrets from files, and
digests of files that containers mount, come in as arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.core import base_stack, labels
from reconciler.core.admission import Policy, admit, profile_of
from reconciler.core.fragment import BuildError, Fragment, Service, read_fragment
from reconciler.core.revision import digest, revision_of, revisions_of
from reconciler.core.stack import (
    DEFAULT_STOP_GRACE,
    HealthCheck,
    ProxySettings,
    Role,
    Rotation,
    RotationMode,
    Site,
    Stack,
    Strategy,
    StrategyKind,
    Workload,
)
from vault_plugins.contract import PluginError, VaultServicePlugin

PROJECT_PREFIX: Final = "vault-"
POOL: Final = "web"
MAX_STOP_GRACE: Final = 86400.0
MAX_PORT: Final = 65535
OVERRIDE_PREFIX: Final = "VAULT_"
DEFAULT_POLICY: Final = Policy()

FileDigest = Callable[[str], str | None]

_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)")
_UNIT_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


def project_of(name: str) -> str:
    """The Compose project of a VaultService."""
    return PROJECT_PREFIX + name


def resolve_settings(
    service: VaultService, plugin: VaultServicePlugin, secrets: Mapping[str, str]
) -> dict[str, str]:
    """default_environment < envFrom (`secrets`) < env, and on top what the spec says in fields of its own."""
    spec = service.spec
    settings = {**plugin.default_environment, **secrets, **spec.env}
    overrides = {
        "VAULT_WEB_REPLICAS": spec.replicas,
        "VAULT_WEB_PORT": spec.ports.container,
        "VAULT_WEB_HEALTHCHECK_PATH": spec.healthcheck.path,
        "VAULT_WEB_HEALTHCHECK_HOST": spec.healthcheck.host,
    }
    settings |= {name: str(value) for name, value in overrides.items() if value is not None}
    return {"VAULT_SERVICE": plugin.metadata.slug, **settings}


def build(
    service: VaultService,
    plugin: VaultServicePlugin,
    site: Site,
    secrets: Mapping[str, str] | None = None,
    digest_file: FileDigest = lambda path: None,
    policy: Policy = DEFAULT_POLICY,
) -> Stack:
    """The stack that should run.

    `secrets` is what `spec.envFrom` came to; `digest_file` gives a digest of a file's content, or None for what is no
    file; `policy` is what the operator allows. Raises BuildError and AdmissionError, which name the plugin.
    """
    spec = service.spec
    profile = profile_of(service.name, service.metadata.annotations, policy)
    settings = resolve_settings(service, plugin, secrets or {})
    fragment = read_fragment(plugin, settings)
    asked = {"services": fragment.services, **fragment.top_level}
    fragment.warnings.extend(admit(plugin.metadata.slug, profile, asked, fragment.web, policy))
    health, port, count = _resolve(plugin, settings)

    services: dict[str, Service] = {}
    workloads: list[Workload] = []
    for name, body in fragment.services.items():
        is_web = name in fragment.web
        definition = _inject(body, is_web, plugin, service, settings)
        # The engine would start a job that is done again and again.
        definition.setdefault("restart", "no" if name in fragment.one_shot else "unless-stopped")
        replicas = _replicas(body, count if is_web and len(fragment.web) == 1 else 1)
        target = port
        if is_web:
            target = _take_over_ports(name, definition, port, replicas, spec.ports.http, fragment.warnings)
            definition["deploy"] = {**(definition.get("deploy") or {}), "replicas": replicas}
            if spec.restarted_at:
                definition["labels"] = {**_labels(definition), labels.RESTARTED_AT: spec.restarted_at}
        content = _with_files(definition, digest_file, fragment)
        workloads.append(
            Workload(
                name=name,
                role=Role.WEB if is_web else Role.DEPENDENCY,
                replicas=replicas,
                image=definition["image"],
                revision=revision_of(content),
                revisions=revisions_of(content),
                networks=frozenset(definition.get("networks", ())),
                needs=fragment.needs[name],
                port=target if is_web else None,
                stop_grace=_seconds(definition.get("stop_grace_period")),
                one_shot=name in fragment.one_shot,
            )
        )
        services[name] = definition

    base_services, base_workloads = _base(service, site)
    workloads = [*base_workloads, *workloads]
    services = base_services | services
    for workload in workloads:
        services[workload.name] = _labelled(services[workload.name], service.name, workload)
    document: dict[str, Any] = {"name": project_of(service.name), "services": services}
    sections = {name: body for name, body in fragment.top_level.items() if body}
    document |= sections | {
        "networks": {base_stack.VAULT_NET: {}, base_stack.CONTROL_NET: {}} | sections.get("networks", {})
    }
    desired = sum(workload.replicas for workload in workloads if workload.role is Role.WEB)
    return Stack(
        name=service.name,
        project=project_of(service.name),
        published=spec.ports.http,
        site=site,
        document=document,
        workloads=tuple(workloads),
        proxy=ProxySettings(
            pool=POOL,
            health=HealthCheck(health.path, health.host, spec.healthcheck.interval),
            hold_seconds=spec.proxy.hold_seconds,
            drain_seconds=spec.strategy.drain_seconds,
        ),
        strategy=_strategy(service, plugin, desired),
        rotation=_rotation(service),
        rotated_at=datetime.fromisoformat(spec.rotated_at) if spec.rotated_at else None,
        warnings=tuple(fragment.warnings),
    )


def _resolve(plugin: VaultServicePlugin, settings: Mapping[str, str]) -> tuple[Any, int, int]:
    try:
        return (
            plugin.resolve_healthcheck(settings),
            plugin.resolve_port(settings),
            plugin.resolve_replicas(settings),
        )
    except PluginError as error:
        raise BuildError(f"plugin {plugin.metadata.slug!r}: {error}") from error


def _inject(
    body: Service,
    is_web: bool,
    plugin: VaultServicePlugin,
    service: VaultService,
    settings: Mapping[str, str],
) -> Service:
    """The service with the environment that the plugin did not set itself.

    The plugin's defaults reach all its services; what the user wrote reaches those that answer web requests.
    """
    wanted = set(plugin.default_environment)
    if is_web:
        wanted |= {name for name in settings if not name.startswith(OVERRIDE_PREFIX)}
    inherited = {name: settings[name] for name in sorted(wanted)}
    return {
        **body,
        "environment": {**inherited, **body["environment"]},
    }


def _take_over_ports(
    name: str, definition: Service, port: int, replicas: int, published: int, warnings: list[str]
) -> int:
    """Unpublish a web service, whose port HAProxy publishes instead; returns the port inside its containers.

    A mapping such as "9000:8080" says what the application listens on better than an override that only moved the
    host's side of it.
    """
    if "network_mode" in definition:
        raise BuildError(
            f"service {name!r} has a network_mode; HAProxy reaches it by its address in {base_stack.VAULT_NET!r}"
        )
    if base_stack.VAULT_NET not in definition["networks"]:
        definition["networks"] = {**definition["networks"], base_stack.VAULT_NET: {}}
        warnings.append(f"service {name!r} joins {base_stack.VAULT_NET!r}, where HAProxy reaches it")
    if definition.pop("container_name", None):
        warnings.append(
            f"service {name!r}: container_name is dropped; a replica starts beside the one that it replaces"
        )
    mappings: Sequence[Any] = definition.pop("ports", None) or ()
    targets = {target for target in map(_target_port, mappings) if target is not None}
    if mappings:
        warnings.append(
            f"service {name!r}: its published ports move to HAProxy, which serves its {replicas} "
            f"{'replica' if replicas == 1 else 'replicas'} on port {published}"
        )
    return targets.pop() if port not in targets and len(targets) == 1 else port


def _target_port(mapping: object) -> int | None:
    target = mapping.get("target") if isinstance(mapping, Mapping) else str(mapping).rpartition(":")[2]
    text = str(target).partition("/")[0]
    is_port = text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= MAX_PORT
    return int(text) if is_port else None


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
    for volume in definition.get("volumes", ()):
        source = str(volume.get("source") if isinstance(volume, Mapping) else str(volume).partition(":")[0])
        if source.startswith("/") and (found := digest_file(source)):
            content[source] = found
    for section in ("configs", "secrets"):
        for item in definition.get(section, ()):
            name = str(item.get("source") if isinstance(item, Mapping) else item)
            body = fragment.top_level[section][name]
            content[f"{section}.{name}"] = digest([body, digest_file(str(body.get("file") or ""))])
    return {**definition, "x-content": content} if content else definition


def _labels(definition: Service) -> dict[str, str]:
    value = definition.get("labels") or {}
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    return dict(str(item).partition("=")[::2] for item in value)


def _labelled(definition: Service, service: str, workload: Workload) -> Service:
    ours = {labels.SERVICE: service, labels.ROLE: workload.role.value, labels.REVISION: workload.revision}
    if workload.port is not None:
        ours[labels.PORT] = str(workload.port)
    return {**definition, "labels": {**_labels(definition), **ours}}


def _base(service: VaultService, site: Site) -> tuple[dict[str, Service], list[Workload]]:
    spec = service.spec
    gateway = base_stack.gateway(spec.ports.http, spec.proxy.image)
    haproxy = base_stack.haproxy(site, spec.proxy.image, spec.strategy.drain_seconds)
    haproxy["deploy"] = {"replicas": spec.proxy.replicas}
    # A gateway is disruptive to replace and does nothing but hold ports: only those are its revision.
    held = {"ports": gateway["ports"]}
    networks = frozenset(gateway["networks"])
    grace = spec.strategy.drain_seconds + base_stack.HARD_STOP_MARGIN
    workloads = [
        Workload(
            base_stack.GATEWAY, Role.GATEWAY, 1, spec.proxy.image, revision_of(held), revisions_of(held), networks,
            stop_grace=0.0,
        ),
        Workload(
            base_stack.HAPROXY, Role.PROXY, spec.proxy.replicas, spec.proxy.image, revision_of(haproxy),
            revisions_of(haproxy), frozenset(), needs=(base_stack.GATEWAY,), stop_grace=grace,
        ),
    ]  # fmt: skip
    return {base_stack.GATEWAY: gateway, base_stack.HAPROXY: haproxy}, workloads


def _strategy(service: VaultService, plugin: VaultServicePlugin, desired: int) -> Strategy:
    spec = service.spec.strategy
    surge = spec.rolling_update.max_surge.ceil_of(desired)
    unavailable = spec.rolling_update.max_unavailable.floor_of(desired)
    default = StrategyKind.RECREATE if plugin.single_writer else StrategyKind.ROLLING_UPDATE
    return Strategy(
        kind=StrategyKind(spec.type) if spec.type else default,
        surge=surge,
        unavailable=unavailable if surge or unavailable else 1,
        min_ready=spec.min_ready_seconds,
        progress_deadline=spec.progress_deadline_seconds,
        drain=spec.drain_seconds,
        auto_rollback=spec.auto_rollback,
        paused=spec.paused,
    )


def _rotation(service: VaultService) -> Rotation | None:
    rotation = service.spec.rotation
    if rotation is None:
        return None
    return Rotation(rotation.interval, rotation.jitter, RotationMode(rotation.mode))
