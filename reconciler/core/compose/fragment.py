"""A plugin's fragment, checked and brought into one shape.

Plugins are third-party code: what they return is checked here once, so that the rest of the core can rely on it. Every
error names the plugin, the path in the fragment and the remedy.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any, Final

from reconciler.api.errors import PermanentError
from reconciler.api.reasons import Reason
from reconciler.core.compose.environment import (
    read_environment,
    read_environment_as_before,
    unusable_names,
)
from reconciler.core.compose.fields import Treatment, met
from reconciler.core.compose.interpolation import InterpolationError, interpolate
from reconciler.core.compose.mounts import Mount, read_mounts
from reconciler.core.compose.needs import CONDITIONS, Need, read_needs
from reconciler.core.compose.networks import read_networks
from reconciler.core.compose.shape import ShapeError, escaped, is_unwritable, misnamed, misshapen, plain
from reconciler.core.names import CONTROL_NET, RESERVED, VAULT_NET
from vault_plugins.contract import PluginError, VaultServicePlugin
from vault_plugins.failures import BrokenPluginError, broken_by

Service = dict[str, Any]

SECTIONS: Final = ("services", "volumes", "networks", "configs", "secrets")
BASE_NETWORKS: Final = frozenset({VAULT_NET, CONTROL_NET})

MAX_LABEL: Final = 63
"""Characters of a name in DNS, from one dot to the next."""


class BuildError(PermanentError):
    """The plugin and the settings do not result in a valid stack."""

    reason = Reason.BUILD


@dataclass(frozen=True)
class Fragment:
    """A checked fragment: `services` with normalised networks, `needs` from service to the services before it,
    `conditions` from service to the conditions on which others say that they wait for it. `former_environments` has the
    variables of the services that an earlier release read in another way.
    """

    services: dict[str, Service]
    top_level: dict[str, dict[str, Any]]
    web: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, frozenset[str]]
    former_environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a plugin says of settings: a fragment in plain values, not checked yet, and which of its services are what."""

    slug: str
    document: Any = field(repr=False)
    web: tuple[str, ...]
    dependencies: tuple[str, ...]
    warnings: tuple[str, ...]


def ask(plugin: VaultServicePlugin, settings: Mapping[str, str]) -> Offer:
    """Ask the plugin for its fragment. Raises BuildError."""
    slug = plugin.metadata.slug
    with asking(plugin):
        # What it copies into its fragment is interpolated there once; a `$` of a value has to survive that.
        raw = plugin.build_compose({name: value.replace("$", "$$") for name, value in settings.items()})
        web = tuple(dict.fromkeys(map(str, plugin.get_containers())))
        dependencies = tuple(dict.fromkeys(map(str, plugin.dependencies)))
        warnings = tuple(escaped(str(text)) for text in plugin.operator_warnings(settings))
    if unwritable := [name for name, value in settings.items() if is_unwritable(value)]:
        what = escaped(f"setting {unwritable[0]} holds a character that no environment can hold")
        raise BuildError(f"plugin {slug!r}: {what}")
    try:
        return Offer(slug, plain(raw), web, dependencies, warnings)
    except ShapeError as error:
        raise BuildError(f"plugin {slug!r}: {error}") from error


def read_fragment(
    offer: Offer, settings: Mapping[str, str], images: Mapping[str, str] | None = None
) -> Fragment:
    """Check what a plugin offered; `images` replace those of its services. Raises BuildError."""
    fragment = _Reader(offer.slug, images or {}).read(offer, settings)
    fragment.warnings.extend(offer.warnings)
    return fragment


@contextmanager
def asking(plugin: VaultServicePlugin) -> Iterator[None]:
    """Wraps calls of a plugin: any exception fails only its own service. Raises BuildError that names the plugin."""
    slug = plugin.metadata.slug
    try:
        yield
    except PluginError as error:
        raise BuildError(f"plugin {slug!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise BuildError(str(BrokenPluginError(broken_by(error, slug, _file_of(plugin))))) from error


def _file_of(plugin: VaultServicePlugin) -> Path:
    return Path(inspect.getfile(type(plugin)))


class _Reader:
    """One pass over one fragment; keeps the plugin's name for error messages."""

    def __init__(self, slug: str, images: Mapping[str, str]) -> None:
        self._slug = slug
        self._images = images
        self._warnings: list[str] = []

    def read(self, offer: Offer, settings: Mapping[str, str]) -> Fragment:
        web, dependencies = offer.web, offer.dependencies
        try:
            document = interpolate(self._mapping("the fragment", offer.document), settings)
        except InterpolationError as error:
            raise self._error(str(error)) from error
        # Keys with `x-` are notes, and what YAML's anchors are kept in.
        document = {key: body for key, body in document.items() if not key.startswith("x-")}
        self._look_up("", "", document)
        if unknown := sorted(set(document) - set(SECTIONS) - {"version", "name"}):
            raise self._error(f"unknown section {unknown[0]!r}; a fragment has {', '.join(SECTIONS)}")
        sections = {name: self._section(name, document.get(name)) for name in SECTIONS}
        self._lay_over_images(sections["services"])
        for body in sections["services"].values():
            _leave_out_absent(body, sections["services"])
        for section, entries in sections.items():
            for name, body in entries.items():
                self._look_up(section, name, body)
        bodies = sections.pop("services")
        services = {name: self._service(name, body, settings) for name, body in bodies.items()}
        self._check_names(services, web, dependencies)
        for name, body in services.items():
            self._check_references(name, body, sections)
        return Fragment(
            services=services,
            top_level=sections,
            web=web,
            needs=self._needs(services, web, dependencies),
            conditions=self._conditions(services),
            former_environments={
                name: former
                for name, body in bodies.items()
                if (former := read_environment_as_before(body.get("environment")))
                != services[name]["environment"]
            },
            warnings=self._warnings,
        )

    def _error(self, complaint: str) -> BuildError:
        return BuildError(f"plugin {self._slug!r}: {complaint}")

    def _mapping(self, place: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self._error(f"{place} must be a mapping with text keys, not {type(value).__name__}")
        return dict(value)

    def _section(self, name: str, value: object) -> dict[str, dict[str, Any]]:
        section = self._mapping(name, value if value is not None else {})
        if wrong := [text for key in section if (text := misnamed(key))]:
            raise self._error(f"{name}: {wrong[0]}")
        return {
            key: self._mapping(f"{name}.{key}", body if body is not None else {})
            for key, body in section.items()
        }

    def _lay_over_images(self, services: Mapping[str, dict[str, Any]]) -> None:
        for name, image in self._images.items():
            if name not in services:
                way_out = "; spec.proxy.image names that of HAProxy" if name in RESERVED else ""
                raise BuildError(
                    f"spec.images.{name}: there is no workload {name!r}, there are {', '.join(services) or 'none'}{way_out}"
                )
            services[name]["image"] = image

    def _look_up(self, section: str, name: str, body: Mapping[str, Any]) -> None:
        """Say what the table of fields says about those that are not simply honoured."""
        for row in met(section, name, body):
            if row.field.treatment is Treatment.REFUSED:
                raise self._error(escaped(str(row)))
            self._warnings.append(escaped(str(row)))

    def _service(self, name: str, body: dict[str, Any], settings: Mapping[str, str]) -> Service:
        if not isinstance(body.get("image"), str) or not body["image"]:
            raise self._error(
                f"services.{name} has no image; the controller starts images, it does not build them"
            )
        if wrong := next(misshapen(body), None):
            raise self._error(f"services.{name}.{wrong}")
        if unresolvable := next(_unresolvable(name, body), None):
            raise self._error(unresolvable)
        service = {key: value for key, value in body.items() if value is not None}
        service["environment"] = read_environment(body.get("environment"), settings)
        if wrong := next(unusable_names(service["environment"]), None):
            raise self._error(escaped(f"services.{name}.environment: {wrong}"))
        if "network_mode" not in service:
            service["networks"] = read_networks(body.get("networks")) or {VAULT_NET: {}}
        return service

    def _check_names(
        self, services: Mapping[str, Service], web: tuple[str, ...], dependencies: tuple[str, ...]
    ) -> None:
        if taken := sorted(RESERVED & set(services)):
            raise self._error(f"service {taken[0]!r} belongs to the base stack; give it another name")
        if not web:
            raise self._error(
                "get_containers() names no service, so there is nothing that HAProxy could serve"
            )
        for origin, names in (("get_containers()", web), ("dependencies", dependencies)):
            if missing := [name for name in names if name not in services]:
                raise self._error(
                    f"{origin} names {missing[0]!r}, but the services are {', '.join(services) or 'none'}"
                )
        if both := sorted(set(web) & set(dependencies)):
            raise self._error(
                f"service {both[0]!r} is in get_containers() and in dependencies; it can be one of them"
            )

    def _check_references(self, name: str, body: Service, sections: Mapping[str, Mapping[str, Any]]) -> None:
        networks = BASE_NETWORKS | set(sections["networks"])
        for network in body.get("networks", {}):
            if network not in networks:
                raise self._error(
                    f"services.{name}.networks: {network!r} is not declared; add it to the fragment's networks "
                    f"or use {VAULT_NET!r} or {CONTROL_NET!r}"
                )
        for mount in read_mounts(body.get("volumes")):
            self._check_mount(name, mount, sections["volumes"])
        for section in ("configs", "secrets"):
            for item in body.get(section, ()):
                source = item.get("source") if isinstance(item, Mapping) else item
                if source not in sections[section]:
                    raise self._error(
                        f"services.{name}.{section}: {source!r} is not in the fragment's {section}"
                    )

    def _check_mount(self, service: str, mount: Mount, declared: Mapping[str, Any]) -> None:
        place = f"services.{service}.volumes"
        if mount.surplus:
            raise self._error(f"{place}{mount.place} has more than SOURCE:TARGET:OPTIONS; use the long form")
        if mount.is_bind and not PurePosixPath(mount.source).is_absolute():
            raise self._error(f"{place}: {mount.source!r} is a relative path; write an absolute one")
        if mount.kind == "volume" and mount.source and mount.source not in declared:
            raise self._error(f"{place}: {mount.source!r} is not declared; add it to the fragment's volumes")

    def _needs(
        self, services: Mapping[str, Service], web: tuple[str, ...], dependencies: tuple[str, ...]
    ) -> dict[str, tuple[str, ...]]:
        needs = {
            name: [need.service for need in self._asked(name, body, services)]
            for name, body in services.items()
        }
        for name, body in services.items():
            needs[name] += [other for other in shared_with(body).values() if other not in needs[name]]
            if missing := [other for other in shared_with(body).values() if other not in services]:
                raise self._error(
                    f"services.{name} shares a namespace of {missing[0]!r}, which is no service"
                )
        for name in web:
            needs[name] += [other for other in dependencies if other not in needs[name]]
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            raise self._error(f"services need each other in a circle: {' → '.join(error.args[1])}") from error
        return {name: tuple(others) for name, others in needs.items()}

    def _asked(self, name: str, body: Service, services: Mapping[str, Service]) -> tuple[Need, ...]:
        """What this service waits for."""
        needs, place = read_needs(body.get("depends_on")), f"services.{name}.depends_on"
        for need in needs:
            if need.service not in services:
                raise self._error(f"{place}: there is no service {need.service!r}")
            if need.condition not in CONDITIONS:
                raise self._error(
                    f"{place}.{need.service}.condition is {need.condition!r}; it can be {', '.join(CONDITIONS)}"
                )
        return needs

    def _conditions(self, services: Mapping[str, Service]) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for body in services.values():
            for need in read_needs(body.get("depends_on")):
                # A plain list only gives the order of start, and does not say whether the service runs once.
                if need.stated:
                    found.setdefault(need.service, set()).add(need.condition)
        return {name: frozenset(conditions) for name, conditions in found.items()}


def _leave_out_absent(body: dict[str, Any], services: Mapping[str, object]) -> None:
    """Remove optional services that do not exist from `depends_on`."""
    needs = body.get("depends_on")
    if isinstance(needs, Mapping):
        absent = {need.service for need in read_needs(needs) if not need.required} - set(services)
        body["depends_on"] = {name: how for name, how in needs.items() if name not in absent}


def _unresolvable(service: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Messages about names that are too long to be resolved by DNS."""
    names = [("", service), (".container_name", body.get("container_name"))]
    for network, wanted in read_networks(body.get("networks")).items():
        aliases = wanted.get("aliases")
        names += [
            (f".networks.{network}.aliases", alias)
            for alias in (aliases if isinstance(aliases, list) else ())
        ]
    for place, name in names:
        if name and any(len(label) > MAX_LABEL for label in str(name).split(".")):
            yield escaped(
                f"services.{service}{place}: {str(name)!r} is longer than the {MAX_LABEL} characters of a name in DNS, so "
                "no other service could find it; give it a shorter one"
            )


def shared_with(body: Service) -> dict[str, str]:
    """The services whose namespaces this one lives in, by the key that says so."""
    values = {key: str(body.get(key) or "") for key in ("network_mode", "pid", "ipc")}
    return {key: v.partition(":")[2] for key, v in values.items() if v.startswith("service:")}
