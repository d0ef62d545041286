"""Discovers plugins: in this package, in installed distributions and in the search path.

Discovery lists names and imports nothing; a plugin is imported on first use. So a command imports only the plugin that it
needs, and a broken plugin affects only the services that use it.

PluginError
├── UnknownPluginError   no plugin has that name
└── BrokenPluginError    the plugin exists and cannot be used
"""

import difflib
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

import vault_plugins
from vault_plugins.contract import PluginError
from vault_plugins.failures import BrokenPlugin, BrokenPluginError
from vault_plugins.loading import (
    Candidate,
    DirectoryPlugin,
    EntryPointPlugin,
    LoadedPlugin,
    PackagedPlugin,
    Stamp,
    load,
    stamp_of,
)

SEARCH_PATH_VARIABLE: Final = "VAULT_PLUGIN_PATH"
ENTRY_POINT_GROUP: Final = "vault_plugins"
PLUGIN_FILE: Final = "plugin.py"


class UnknownPluginError(PluginError):
    """There is no plugin of that name; `available` are the known slugs."""

    def __init__(self, slug: str, available: Sequence[str], broken: Sequence[str]) -> None:
        near = difflib.get_close_matches(slug, [*available, *broken], n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else "."
        also = f" Broken: {', '.join(broken)}." if broken else ""
        super().__init__(
            f"there is no plugin {slug!r}{hint} There are: {', '.join(available) or 'none'}.{also}"
        )
        self.slug = slug
        self.available = tuple(available)


class Registry:
    """The discovered plugins, imported on first use, and again after one of their files has changed. Thread-safe."""

    def __init__(self, candidates: Iterable[Candidate], broken: Iterable[BrokenPlugin] = ()) -> None:
        self._candidates: dict[str, Candidate] = {}
        self._outcomes: dict[str, LoadedPlugin | BrokenPlugin] = {entry.name: entry for entry in broken}
        self._stamps: dict[str, Stamp] = {}
        self._lock = threading.RLock()
        places: defaultdict[str, list[Path]] = defaultdict(list)
        for candidate in candidates:
            self._candidates[candidate.name] = candidate
            places[candidate.name].append(candidate.path)
        for name, paths in places.items():
            if len(paths) > 1:
                self._outcomes[name] = _duplicate(name, name, paths[0], paths)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the discovered plugins, sorted. Imports nothing, so the slugs may differ."""
        return tuple(sorted({*self._candidates, *self._outcomes}))

    @property
    def plugins(self) -> Mapping[str, LoadedPlugin]:
        """Every plugin that works, by slug. Imports them all."""
        return self._load_all()[0]

    @property
    def broken(self) -> Mapping[str, BrokenPlugin]:
        """Every plugin that does not work, by the name of its directory or entry point. Imports them all."""
        return self._load_all()[1]

    def get(self, slug: str) -> LoadedPlugin:
        """Return the plugin with this slug; imports no other plugin if a directory or entry point has that name.

        Raises BrokenPluginError if it exists and cannot be used, UnknownPluginError if it does not exist.
        """
        named = self._named(slug)
        if isinstance(named, LoadedPlugin) and named.slug == slug:
            return named
        if isinstance(named, BrokenPlugin):
            raise BrokenPluginError(named)
        plugins, broken = self._load_all()
        if slug not in plugins:
            raise UnknownPluginError(slug, tuple(plugins), tuple(broken))
        return plugins[slug]

    def stamps(self) -> Mapping[str, Stamp]:
        """The stamps of all used plugins; they differ after a file of one has changed."""
        with self._lock:
            return {name: stamp_of(self._candidates[name]) for name in self._stamps}

    def _named(self, name: str) -> LoadedPlugin | BrokenPlugin | None:
        with self._lock:
            known, is_loaded = name in self._outcomes, name in self._stamps
            # A plugin that was broken at discovery, such as a duplicate name, stays broken.
            if name in self._candidates and (is_loaded or not known):
                stamp = stamp_of(self._candidates[name])
                if not is_loaded or stamp != self._stamps[name]:
                    self._stamps[name] = stamp
                    try:
                        self._outcomes[name] = load(self._candidates[name], again=is_loaded)
                    except BrokenPluginError as error:
                        self._outcomes[name] = error.broken
            return self._outcomes.get(name)

    def _load_all(self) -> tuple[Mapping[str, LoadedPlugin], Mapping[str, BrokenPlugin]]:
        outcomes = {name: self._named(name) for name in self.names}
        unusable = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, BrokenPlugin)}
        claims: defaultdict[str, dict[str, LoadedPlugin]] = defaultdict(dict)
        for name, outcome in outcomes.items():
            if isinstance(outcome, LoadedPlugin):
                claims[outcome.slug][name] = outcome
        plugins: dict[str, LoadedPlugin] = {}
        duplicates: dict[str, BrokenPlugin] = {}
        for slug, claimants in claims.items():
            paths = [claimant.path for claimant in claimants.values()]
            paths += [unusable[slug].path] if slug in unusable else []
            for name, claimant in claimants.items():
                # As in `get`, the candidate that is named like the slug wins.
                if name == slug or len(paths) == 1:
                    plugins[slug] = claimant
                else:
                    duplicates[name] = _duplicate(name, slug, claimant.path, paths)
        broken = sorted({**unusable, **duplicates}.items())
        return MappingProxyType(dict(sorted(plugins.items()))), MappingProxyType(dict(broken))


def search_path_from(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the directories that `VAULT_PLUGIN_PATH` lists, separated like those of PATH."""
    return tuple(Path(entry) for entry in environ.get(SEARCH_PATH_VARIABLE, "").split(os.pathsep) if entry)


def discover(search_path: Iterable[Path] | None = None) -> Registry:
    """Find every plugin there is: packaged, installed, and `<dir>/<name>/plugin.py` in the search path.

    Without a search path, the environment's `VAULT_PLUGIN_PATH` is used. Imports no plugin and raises nothing: missing
    directories, duplicate names and plugins that fail to import are `broken`.
    """
    candidates: dict[Path, Candidate] = {}
    broken: list[BrokenPlugin] = []
    for root in vault_plugins.__path__:
        for path in _plugin_files(Path(root)):
            candidates[path.resolve()] = PackagedPlugin(_name(path), path)
    for directory in search_path_from(os.environ) if search_path is None else search_path:
        try:
            for path in _plugin_files(directory.resolve()):
                # The same file may be found twice, through a link or because the path lists this package.
                candidates.setdefault(path.resolve(), DirectoryPlugin(_name(path), path))
        except OSError as error:
            problem = f"{SEARCH_PATH_VARIABLE} lists it, but it cannot be read: {error.strerror}"
            broken.append(BrokenPlugin(str(directory), directory, problem))
    # An editable install and an ordinary one may both list the same entry point.
    installed = {(entry.name, entry.value): entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return Registry([*candidates.values(), *map(_installed, installed.values())], broken)


def _plugin_files(root: Path) -> list[Path]:
    visible = (entry for entry in root.iterdir() if not entry.name.startswith((".", "_")))
    return sorted(path for entry in visible if (path := entry / PLUGIN_FILE).is_file())


def _name(plugin_file: Path) -> str:
    # A Python package cannot be imported by the name `my-service`, so its directory is called `my_service`.
    return plugin_file.parent.name.replace("_", "-")


def _installed(entry: EntryPoint) -> EntryPointPlugin:
    # Finding the file of a top-level name does not execute it. The path is used only in messages.
    try:
        spec = find_spec(entry.module.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        spec = None
    path = Path(spec.origin) if spec and spec.origin else Path(entry.value)
    return EntryPointPlugin(entry.name.replace("_", "-"), path, entry)


def _duplicate(name: str, slug: str, path: Path, places: Iterable[Path]) -> BrokenPlugin:
    listed = " and ".join(sorted({str(place) for place in places}))
    return BrokenPlugin(name, path, f"{slug!r} exists more than once; rename or remove one: {listed}")
