"""The base class of all plugins, and the rules of the contract.

A plugin turns settings into a Compose fragment and names the services that answer web requests; the controller adds the
base stack, HAProxy and rollouts. The module imports no other one, so that a plugin imports quickly and can be tested
without the controller.

PluginError
├── PluginMetadataError   the metadata of a plugin is invalid
└── PluginSettingError    a setting is missing or unusable
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

DEFAULT_HEALTHCHECK_HOST: Final = "localhost"
MAX_PORT: Final = 65535
# Limits the fragment of a plugin that makes one service per replica: a typing error could ask for millions.
MAX_REPLICAS: Final = 1000

_TEXT = re.compile(r".*\S.*")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
# Narrower than a URL: no quote, '$', '[' or '#', which have a meaning in the proxy's configuration.
_URL_PATH = re.compile(r"/[A-Za-z0-9._~&+,=:@%/?-]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?")


class PluginError(Exception):
    """Base of all errors of plugins. `str()` is a sentence for the user."""


class PluginMetadataError(PluginError, ValueError):
    """The metadata of a plugin is invalid."""


class PluginSettingError(PluginError, ValueError):
    """A setting is missing or has a value that the plugin cannot use."""


class Healthcheck(NamedTuple):
    """The request of a health check: `GET path` with `Host: host`."""

    path: str
    host: str


@dataclass(frozen=True)
class PluginMetadata:
    """The metadata of a plugin. Plugins use it as `VaultServicePlugin.Metadata`.

    `slug` is the value of `spec.plugin` in a manifest; `default_port` is the TCP port inside the container.
    Raises PluginMetadataError for an invalid slug, port, path or host.
    """

    name: str
    slug: str
    default_port: int
    healthcheck_path: str = "/"
    healthcheck_host: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        # bool is an int, and `default_port=True` would listen on port 1.
        is_port = type(self.default_port) is int and 1 <= self.default_port <= MAX_PORT
        is_host = self.healthcheck_host is None or _is(_HOST, self.healthcheck_host)
        for field, valid, rule in (
            ("name", _is(_TEXT, self.name), "a display name, like 'My Service'"),
            ("slug", _is(_SLUG, self.slug), "1 to 40 of a-z, 0-9 and '-', the first one a letter"),
            ("default_port", is_port, f"a number from 1 to {MAX_PORT}"),
            ("healthcheck_path", _is(_URL_PATH, self.healthcheck_path), "a path like '/healthz', no spaces"),
            ("healthcheck_host", is_host, "a host name like 'localhost'"),
            ("description", isinstance(self.description, str), "a text"),
        ):
            if not valid:
                raise PluginMetadataError(f"metadata: {field} is {getattr(self, field)!r}; make it {rule}")


class VaultServicePlugin(ABC):
    """One type of service.

    `env` is the same in all methods: `default_environment`, then the settings of the manifest, then the `VAULT_*`
    overrides. `build_compose` runs before `get_containers` and on the same instance, so a plugin that makes one service
    per replica may store their names.
    """

    Metadata: TypeAlias = PluginMetadata

    metadata: PluginMetadata
    dependencies: Sequence[str] = ()
    """Services that start before the web services, in this order."""
    min_replicas: int = 1
    """The default and the minimum number of web replicas."""
    default_environment: Mapping[str, str] = MappingProxyType({})
    """Environment variables of the plugin's services, which a manifest may override."""
    single_writer: bool = False
    """The data allows one writing replica at a time: the old one stops before the new one starts."""

    @abstractmethod
    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the Compose fragment: `services` and, where needed, `volumes` and `networks`."""

    @abstractmethod
    def get_containers(self) -> Iterable[str]:
        """Return the names of the services that answer web requests."""

    def operator_warnings(self, env: Mapping[str, str]) -> Iterable[str]:
        """Return what the operator should know about these settings, one sentence each; nothing by default."""
        return ()

    def resolve_port(self, env: Mapping[str, str]) -> int:
        """Return the TCP port inside the container: `VAULT_WEB_PORT`, or the plugin's own.

        Raises PluginSettingError if the variable is not a port number.
        """
        value = _setting(env, "VAULT_WEB_PORT")
        if value is None:
            return self.metadata.default_port
        port = _whole_number(value)
        if port is None or not 1 <= port <= MAX_PORT:
            raise _unusable("VAULT_WEB_PORT", value, f"a port number from 1 to {MAX_PORT}")
        return port

    def resolve_replicas(self, env: Mapping[str, str]) -> int:
        """Return how many web replicas to run: `VAULT_WEB_REPLICAS`, but never fewer than `min_replicas`.

        Raises PluginSettingError if the variable is not a count.
        """
        value = _setting(env, "VAULT_WEB_REPLICAS")
        if value is None:
            return self.min_replicas
        replicas = _whole_number(value)
        if replicas is None or replicas > MAX_REPLICAS:
            raise _unusable("VAULT_WEB_REPLICAS", value, f"a number from 0 to {MAX_REPLICAS}")
        return max(replicas, self.min_replicas)

    def resolve_healthcheck(self, env: Mapping[str, str]) -> Healthcheck:
        """Return the health check request, after the `VAULT_WEB_HEALTHCHECK_*` overrides.

        `VAULT_HEALTH_PATH` is the short name of `VAULT_WEB_HEALTHCHECK_PATH`, which wins if both are set.
        Raises PluginSettingError if a variable is not a URL path or not a host name.
        """
        full, short = "VAULT_WEB_HEALTHCHECK_PATH", "VAULT_HEALTH_PATH"
        variable = full if _setting(env, full) else short
        path = _setting(env, variable) or self.metadata.healthcheck_path
        if not _is(_URL_PATH, path):
            raise _unusable(variable, path, "a path like '/healthz', no spaces")
        variable = "VAULT_WEB_HEALTHCHECK_HOST"
        host = _setting(env, variable) or self.metadata.healthcheck_host or DEFAULT_HEALTHCHECK_HOST
        if not _is(_HOST, host):
            raise _unusable(variable, host, "a host name like 'localhost'")
        return Healthcheck(path, host)


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _setting(env: Mapping[str, str], variable: str) -> str | None:
    # In an `.env` file, `NAME=` means "not set".
    return env.get(variable, "").strip() or None


def _whole_number(value: str) -> int | None:
    # int() alone also takes '1_000', '+3' and the digits of other scripts.
    return int(value) if _is(_WHOLE_NUMBER, value) else None


def _unusable(variable: str, value: str, rule: str) -> PluginSettingError:
    return PluginSettingError(f"{variable} is {value!r}; set it to {rule}")
