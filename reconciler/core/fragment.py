"""A plugin's fragment, checked and brought into one shape.

Plugins are other people's code: whatever they return is looked at here once, so that the rest of the core can rely on
it. Every complaint names the plugin, the place in the fragment and the way out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any, Final

from reconciler.api.errors import PermanentError
from reconciler.core.base_stack import CONTROL_NET, GATEWAY, HAPROXY, VAULT_NET
from reconciler.core.interpolation import InterpolationError, interpolate
from reconciler.core.shape import ShapeError, misnamed, misshapen, plain
from vault_plugins.contract import PluginError, VaultServicePlugin
from vault_plugins.failures import BrokenPluginError, broken_by

Service = dict[str, Any]

SECTIONS: Final = ("services", "volumes", "networks", "configs", "secrets")
BASE_SERVICES: Final = frozenset({GATEWAY, HAPROXY})
BASE_NETWORKS: Final = frozenset({VAULT_NET, CONTROL_NET})
COMPLETED: Final = "service_completed_successfully"
STARTED: Final = "service_started"


class BuildError(PermanentError):
    """The plugin and the settings do not come to a stack that could run."""


@dataclass(frozen=True)
class Fragment:
    """A checked fragment: `services` with normalised networks, `needs` from service to the services before it,
    `conditions` from service to the conditions on which others say that they wait for it.
    """

    services: dict[str, Service]
    top_level: dict[str, dict[str, Any]]
    web: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, frozenset[str]]
    warnings: list[str] = field(default_factory=list)


def read_fragment(plugin: VaultServicePlugin, settings: Mapping[str, str]) -> Fragment:
    """Ask the plugin for its fragment and check it. Raises BuildError."""
    slug = plugin.metadata.slug
    try:
        # What it copies into its fragment is interpolated there once; a `$` of a value has to survive that.
        raw = plugin.build_compose({name: value.replace("$", "$$") for name, value in settings.items()})
        web = tuple(dict.fromkeys(map(str, plugin.get_containers())))
        dependencies = tuple(dict.fromkeys(map(str, plugin.dependencies)))
    except PluginError as error:
        raise BuildError(f"plugin {slug!r}: {error}") from error
    except (Exception, SystemExit) as error:  # a plugin may do anything, and stops only its own service
        raise BuildError(str(BrokenPluginError(broken_by(error, slug, _file_of(plugin))))) from error
    return _Reader(slug).read(raw, web, dependencies, settings)


def _file_of(plugin: VaultServicePlugin) -> Path:
    return Path(inspect.getfile(type(plugin)))


class _Reader:
    """One pass over one fragment; keeps the plugin's name at hand for the complaints."""

    def __init__(self, slug: str) -> None:
        self._slug = slug
        self._warnings: list[str] = []

    def read(
        self, raw: object, web: tuple[str, ...], dependencies: tuple[str, ...], settings: Mapping[str, str]
    ) -> Fragment:
        try:
            document = interpolate(self._mapping("the fragment", plain(raw)), settings)
        except (ShapeError, InterpolationError) as error:
            raise self._error(str(error)) from error
        if unknown := sorted(set(document) - set(SECTIONS) - {"version", "name"}):
            raise self._error(f"unknown section {unknown[0]!r}; a fragment has {', '.join(SECTIONS)}")
        sections = {name: self._section(name, document.get(name)) for name in SECTIONS}
        services = {name: self._service(name, body) for name, body in sections.pop("services").items()}
        self._check_names(services, web, dependencies)
        for name, body in services.items():
            self._check_references(name, body, sections)
        return Fragment(
            services=services,
            top_level=sections,
            web=web,
            needs=self._needs(services, web, dependencies),
            conditions=self._conditions(services),
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

    def _service(self, name: str, body: dict[str, Any]) -> Service:
        if not isinstance(body.get("image"), str) or not body["image"]:
            raise self._error(
                f"services.{name} has no image; the controller starts images, it does not build them"
            )
        if wrong := next(misshapen(body), None):
            raise self._error(f"services.{name}.{wrong}")
        environment = body.get("environment")
        networks = body.get("networks")
        service = {key: value for key, value in body.items() if value is not None}
        service["environment"] = self._environment(name, environment)
        if "network_mode" not in service:
            service["networks"] = self._networks(name, networks)
        return service

    def _environment(self, service: str, value: object) -> dict[str, str]:
        if isinstance(value, list | tuple):
            pairs: Iterable[tuple[str, Any]] = (str(item).partition("=")[::2] for item in value)
        else:
            pairs = self._mapping(f"services.{service}.environment", value or {}).items()
        return {key: _scalar(item) for key, item in pairs if item is not None}

    def _networks(self, service: str, value: object) -> dict[str, dict[str, Any]]:
        if not value:
            return {VAULT_NET: {}}
        if isinstance(value, list | tuple):
            return {str(name): {} for name in value}
        networks = self._mapping(f"services.{service}.networks", value)
        return {
            name: self._mapping(f"services.{service}.networks.{name}", body or {})
            for name, body in networks.items()
        }

    def _check_names(
        self, services: Mapping[str, Service], web: tuple[str, ...], dependencies: tuple[str, ...]
    ) -> None:
        if taken := sorted(BASE_SERVICES & set(services)):
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
        for volume in body.get("volumes", ()):
            self._check_volume(name, volume, sections["volumes"])
        for section in ("configs", "secrets"):
            for item in body.get(section, ()):
                source = item.get("source") if isinstance(item, Mapping) else item
                if source not in sections[section]:
                    raise self._error(
                        f"services.{name}.{section}: {source!r} is not in the fragment's {section}"
                    )

    def _check_volume(self, service: str, volume: object, declared: Mapping[str, Any]) -> None:
        place = f"services.{service}.volumes"
        if isinstance(volume, Mapping):
            source, kind = str(volume.get("source") or ""), str(volume.get("type") or "volume")
        else:
            source = str(volume).partition(":")[0] if ":" in str(volume) else ""
            kind = "bind" if source.startswith((".", "/", "~")) else "volume"
        if kind == "bind" and not PurePosixPath(source).is_absolute():
            raise self._error(f"{place}: {source!r} is a relative path; write an absolute one")
        if kind == "volume" and source and source not in declared:
            raise self._error(f"{place}: {source!r} is not declared; add it to the fragment's volumes")

    def _needs(
        self, services: Mapping[str, Service], web: tuple[str, ...], dependencies: tuple[str, ...]
    ) -> dict[str, tuple[str, ...]]:
        needs = {
            name: [str(other) for other in body.get("depends_on", ())] for name, body in services.items()
        }
        for name, others in needs.items():
            if missing := [other for other in others if other not in services]:
                raise self._error(f"services.{name}.depends_on: there is no service {missing[0]!r}")
        for name in web:
            needs[name] += [other for other in dependencies if other not in needs[name]]
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            raise self._error(f"services need each other in a circle: {' → '.join(error.args[1])}") from error
        return {name: tuple(others) for name, others in needs.items()}

    def _conditions(self, services: Mapping[str, Service]) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for body in services.values():
            if isinstance(body.get("depends_on"), Mapping):
                for other, how in body["depends_on"].items():
                    found.setdefault(other, set()).add((how or {}).get("condition") or STARTED)
        return {name: frozenset(conditions) for name, conditions in found.items()}


def _scalar(value: object) -> str:
    # YAML's spelling: Compose, too, hands `true` to a container, not Python's `True`.
    return str(value).lower() if isinstance(value, bool) else str(value)
