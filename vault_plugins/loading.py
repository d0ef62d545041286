"""Imports a plugin from a candidate location, or reports why it cannot be used.

Importing a plugin can raise any exception, even SystemExit. All are caught here, so that the registry gets a LoadedPlugin
or a BrokenPluginError, and a broken plugin does not affect the others.
"""

import importlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

from vault_plugins.contract import PluginError, PluginMetadata, VaultServicePlugin
from vault_plugins.failures import BrokenPlugin, BrokenPluginError, broken_by
from vault_plugins.later_dialect import adapted, is_later, originals_modules
from vault_plugins.permissions import open_to_others

MAX_DEPTH: Final = 4
"""Depth of directories below a plugin's own in which a changed file is noticed."""

# sys.modules belongs to the process, so two registries must not import the same plugin at once.
_IMPORTS = threading.Lock()


@dataclass(frozen=True)
class PackagedPlugin:
    """`vault_plugins/<directory>/plugin.py`, in this package."""

    name: str
    path: Path

    def import_module(self, *, again: bool) -> ModuleType:
        package_name = f"vault_plugins.{self.path.parent.name}"
        if again:
            _forget(package_name)
        return importlib.import_module(f"{package_name}.plugin")


@dataclass(frozen=True)
class DirectoryPlugin:
    """`<dir>/<directory>/plugin.py`, in a directory of the search path."""

    name: str
    path: Path

    def import_module(self, *, again: bool) -> ModuleType:
        # Two directories may both hold a `files`, so the module's name is made of the whole path. A directory
        # becomes a package even without an `__init__.py`, so that `from .helpers import x` works.
        directory = self.path.parent
        package_name = f"vault_plugin_{sha256(str(directory).encode()).hexdigest()[:16]}"
        _forget(package_name)
        spec = _package_spec(package_name, directory)
        package = sys.modules[package_name] = module_from_spec(spec)
        if spec.loader is not None:
            spec.loader.exec_module(package)
        return importlib.import_module(f"{package_name}.plugin")


@dataclass(frozen=True)
class EntryPointPlugin:
    """An installed distribution's entry point, `name = module` or `name = module:Class`."""

    name: str
    path: Path
    entry_point: EntryPoint

    def import_module(self, *, again: bool) -> ModuleType:
        return importlib.import_module(self.entry_point.module)


Candidate: TypeAlias = PackagedPlugin | DirectoryPlugin | EntryPointPlugin


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that was imported and checked. `plugin` is for its metadata; build stacks with `create()`."""

    plugin: VaultServicePlugin
    path: Path
    module: ModuleType

    @property
    def slug(self) -> str:
        return self.plugin.metadata.slug

    def create(self) -> VaultServicePlugin:
        """Return a new instance, since a plugin may keep state between `build_compose` and `get_containers`.

        Raises BrokenPluginError if its constructor fails.
        """
        try:
            return type(self.plugin)()
        except (Exception, SystemExit) as error:
            raise BrokenPluginError(broken_by(error, self.slug, self.path)) from error


Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


def stamp_of(candidate: Candidate) -> Stamp:
    """The stamp of a plugin's own files: name, time, size and inode of each. Empty for a plugin of an installed
    distribution, which a running process cannot reload.
    """
    if isinstance(candidate, EntryPointPlugin):
        return ()
    return tuple(sorted(_stamps(str(candidate.path.parent))))


def _stamps(directory: str, depth: int = 0) -> Iterator[tuple[str, int, int, int]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.name.endswith(".py"):
                found = entry.stat()
                yield entry.path, found.st_mtime_ns, found.st_size, found.st_ino
            elif depth < MAX_DEPTH and entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                yield from _stamps(entry.path, depth + 1)
        except OSError:
            continue


def load(candidate: Candidate, *, again: bool = False) -> LoadedPlugin:
    """Import a candidate and check its metadata. Raises BrokenPluginError for every failure.

    `again`: its files have changed since it was imported.
    """
    if isinstance(candidate, DirectoryPlugin) and (problem := open_to_others(candidate.path.parent)):
        raise BrokenPluginError(BrokenPlugin(candidate.name, candidate.path, problem))
    try:
        with _IMPORTS, _no_bytecode(), originals_modules(candidate.path):
            module = candidate.import_module(again=again)
        attribute = candidate.entry_point.attr if isinstance(candidate, EntryPointPlugin) else ""
        found = _plugin_class(module, attribute)
        plugin = (adapted(found, candidate.path) if is_later(found) else found)()
        _check(plugin)
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(broken_by(error, candidate.name, candidate.path)) from error
    return LoadedPlugin(plugin, Path(module.__file__ or candidate.path), module)


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Disable bytecode: Python compares it by whole seconds and size, so it would miss a second edit within a second."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _forget(package_name: str) -> None:
    """Remove this package from sys.modules, so that the next import reads its files."""
    # A copy, because other threads may import at the same time.
    for name in list(sys.modules):
        if name == package_name or name.startswith(f"{package_name}."):
            del sys.modules[name]
    importlib.invalidate_caches()


def _package_spec(name: str, directory: Path) -> ModuleSpec:
    init = directory / "__init__.py"
    spec = spec_from_file_location(name, init) if init.is_file() else None
    spec = spec or ModuleSpec(name, loader=None, is_package=True)
    spec.submodule_search_locations = [str(directory)]
    return spec


def _plugin_class(module: ModuleType, attribute: str) -> type[VaultServicePlugin]:
    exported = [getattr(module, attribute)] if attribute else list(vars(module).values())
    found = {value for value in exported if isinstance(value, type) and issubclass(value, VaultServicePlugin)}
    found.discard(VaultServicePlugin)
    # Classes that a module imports do not count, unless it defines none itself.
    found = {plugin for plugin in found if plugin.__module__ == module.__name__} or found
    leaves = [plugin for plugin in found if not any(plugin in other.__mro__[1:] for other in found)]
    if not leaves:
        raise PluginError(
            "it has no subclass of VaultServicePlugin; write `class MyPlugin(VaultServicePlugin): ...`"
        )
    if len(leaves) > 1:
        names = " and ".join(sorted(plugin.__name__ for plugin in leaves))
        raise PluginError(f"it has more than one plugin, {names}; give each a directory of its own")
    return leaves[0]


def _check(plugin: VaultServicePlugin) -> None:
    if not isinstance(getattr(plugin, "metadata", None), PluginMetadata):
        raise PluginError(
            "it has no metadata; write `metadata = VaultServicePlugin.Metadata(name=..., slug=...)`"
        )
    dependencies: object = plugin.dependencies
    # A string is a sequence of strings too: `("db")` would mean the services 'd' and 'b'.
    if isinstance(dependencies, str) or not _all_text(dependencies):
        raise PluginError(f"dependencies is {dependencies!r}; make it a tuple of service names, like ('db',)")
    min_replicas: object = plugin.min_replicas
    if type(min_replicas) is not int or min_replicas < 1:
        raise PluginError(f"min_replicas is {min_replicas!r}; make it a number from 1")
    environment: object = plugin.default_environment
    if not isinstance(environment, Mapping) or not _all_text([*environment.keys(), *environment.values()]):
        raise PluginError(
            'default_environment is not a mapping of texts; write numbers as texts: {"PORT": "80"}'
        )
    single_writer: object = plugin.single_writer
    if type(single_writer) is not bool:
        raise PluginError(f"single_writer is {single_writer!r}; make it True or False")


def _all_text(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)
