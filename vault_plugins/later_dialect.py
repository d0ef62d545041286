"""Plugins of the original's later dialect: a `name` in place of metadata, `setup()`, one service for each replica.

The original's last plugins were written against another base class. Its members are here, and a class that uses them gets
them when it is loaded, so that its file stays as it is. Its fragments are made for the original's own stack: what names
that stack is left out.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from vault_plugins.contract import Healthcheck, PluginMetadata, VaultServicePlugin

BASE_STACK: Final = frozenset({"haproxy", "docker-proxy", "orchestrator"})
"""Services of the original's own stack, which plugins wait for."""
ENV_FILE: Final = ".env"
_OVERRIDES: Final = ("VAULT_", "DOCKER_PROXY_")
_MODULES: Final = ("common", "common.constants", "common.env")
_PATHS: Final = ("VAULT_WEB_HEALTHCHECK_PATH", "VAULT_HEALTH_PATH")
_CHECKOUT_DEPTH: Final = 2
"""`<checkout>/vault_plugins/<name>/plugin.py`: so far above its directory the checkout is."""


class LaterPlugin(VaultServicePlugin):
    """The members of the later base class."""

    name: str = ""
    replicas: int = 1
    web_port: int = 80
    healthcheck_path: str = "/"
    healthcheck_host: str = "localhost"

    _env: Mapping[str, str]

    def setup(self, env: Mapping[str, str]) -> None:
        """Read the overrides; the three properties below are right after it."""
        self._env = env

    @property
    def active_replicas(self) -> int:
        """How many web replicas there are."""
        return self.resolve_replicas(self._env)

    @property
    def backend_healthcheck_path(self) -> str:
        """The path of the health check."""
        return self.resolve_healthcheck(self._env).path

    @property
    def backend_healthcheck_host(self) -> str:
        """The host of the health check."""
        return self.resolve_healthcheck(self._env).host

    def get_containers(self) -> list[str]:
        """One service for each replica."""
        return [f"{self.name}_web{number}" for number in range(1, self.active_replicas + 1)]

    def resolve_replicas(self, env: Mapping[str, str]) -> int:
        """`VAULT_WEB_REPLICAS`, or `replicas`; a text that is no number means `min_replicas`."""
        value = env.get("VAULT_WEB_REPLICAS", "").strip()
        if value and not (value.isascii() and value.isdecimal()):
            return self.min_replicas
        return super().resolve_replicas({**env, "VAULT_WEB_REPLICAS": value or str(self.replicas)})

    def resolve_healthcheck(self, env: Mapping[str, str]) -> Healthcheck:
        """As in the contract; a path without a leading slash gets one."""
        paths = {name: _rooted(env[name]) for name in _PATHS if env.get(name, "").strip()}
        return super().resolve_healthcheck({**env, **paths})


def is_later(plugin: type) -> bool:
    """Whether a class is a plugin of the later dialect."""
    name = getattr(plugin, "name", None)
    return (
        isinstance(name, str)
        and bool(name)
        and not isinstance(getattr(plugin, "metadata", None), PluginMetadata)
    )


def adapted(plugin: type[VaultServicePlugin], path: Path) -> type[VaultServicePlugin]:
    """The same plugin with the members that it expects, in the contract's terms; `path` is its file."""
    base: Any = plugin

    class Adapted(base, LaterPlugin):  # type: ignore[misc]
        metadata = PluginMetadata(
            name=plugin.name,  # type: ignore[attr-defined]
            slug=plugin.name.replace("_", "-").lower(),  # type: ignore[attr-defined]
            default_port=getattr(plugin, "web_port", LaterPlugin.web_port),
            healthcheck_path=_rooted(getattr(plugin, "healthcheck_path", LaterPlugin.healthcheck_path)),
            healthcheck_host=getattr(plugin, "healthcheck_host", LaterPlugin.healthcheck_host),
        )

        def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
            self.setup(env)
            return _in_this_stack(plugin.build_compose(self, env), env, checkout_of(path).name)

    Adapted.__name__, Adapted.__module__ = plugin.__name__, plugin.__module__
    return Adapted


def checkout_of(path: Path) -> Path:
    """The checkout of the original that a plugin's file is in."""
    return path.resolve().parent.parents[_CHECKOUT_DEPTH - 1]


def _in_this_stack(fragment: Mapping[str, Any], env: Mapping[str, str], checkout: str) -> Mapping[str, Any]:
    services = fragment.get("services") or {}
    bodies = {name: _service(name, body, env, checkout) for name, body in services.items()}
    return {**fragment, "services": bodies}


def _service(name: str, body: Mapping[str, Any], env: Mapping[str, str], checkout: str) -> Mapping[str, Any]:
    body = dict(body or {})
    if body.get("container_name") == name:
        del body["container_name"]
    if "build" in body:
        # It has been built in the checkout by Compose, which gives it this name.
        del body["build"]
        body.setdefault("image", f"{checkout.lower()}-{name}")
    needs = body.get("depends_on")
    if isinstance(needs, Mapping):
        body["depends_on"] = {other: how for other, how in needs.items() if other not in BASE_STACK}
    elif isinstance(needs, list | tuple):
        body["depends_on"] = [other for other in needs if other not in BASE_STACK]
    files = body.get("env_file")
    listed = [files] if isinstance(files, str) else files
    if isinstance(listed, list | tuple) and [Path(str(each)).name for each in listed] == [ENV_FILE]:
        # The file of the checkout is what spec.envFrom names here.
        del body["env_file"]
        body["environment"] = {**_settings(env), **_variables(body.get("environment"))}
    return body


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(_OVERRIDES)}


def _variables(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    pairs = (str(entry).partition("=") for entry in value or ())
    return {name: text if equals else None for name, equals, text in pairs}


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


@contextmanager
def originals_modules(path: Path) -> Iterator[None]:
    """While a plugin is imported, `common.constants` and `common.env` of the original can be imported too, unless there are
    modules of this name.
    """
    finder = _Finder(checkout_of(path))
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.made:
            sys.modules.pop(name, None)


class _Finder(MetaPathFinder, Loader):
    """Makes the modules; the last one that is asked."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self.made: list[str] = []

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in _MODULES or (fullname != "common" and "common" not in self.made):
            return None
        return ModuleSpec(fullname, self, is_package=fullname == "common")

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        self.made.append(name)
        if name == "common.constants":
            module.REPO_ROOT = self._checkout  # type: ignore[attr-defined]
        elif name == "common.env":
            module.resolve_env_file_name = lambda root: ENV_FILE  # type: ignore[attr-defined]
