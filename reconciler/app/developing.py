"""What an author is told while a controller follows the directory that they work in: findings, and how services are; and
what stands in for that controller where it is on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.api.errors import VaultError
from reconciler.app.applying import apply
from reconciler.app.documents import url
from reconciler.app.plugins import lint_plugins
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.store.base import Origin, StoredObject, readable, refs
from vault_plugins.registry import PLUGIN_FILE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.api.kinds import Ref
    from reconciler.sources.base import Source
    from reconciler.store.base import Objects
    from vault_plugins.registry import Registry

__all__ = ["Applying", "Findings", "States", "plugin_roots", "those_of"]


def plugin_roots(directory: Path) -> tuple[Path, ...]:
    """Where the plugin path has to lead for the plugins of a directory, which may be one of them itself."""
    roots = [directory.parent] if (directory / PLUGIN_FILE).is_file() else []
    if any(directory.glob(f"*/{PLUGIN_FILE}")):
        roots.append(directory)
    return tuple(roots)


def those_of(directory: Path, objects: Objects[Any, Any]) -> Iterator[StoredObject[Any]]:
    """The objects whose manifests are below a directory, as far as they can be read."""
    for ref in refs(objects):
        try:
            stored = readable(objects.of(ref.kind), ref.name)
        except VaultError:
            continue
        if stored is not None and stored.origin.manifest.is_relative_to(directory):
            yield stored


class Findings:
    """What the lint says about the plugins of a directory, after each change of one."""

    def __init__(self, directory: Path, registry: Registry, objects: Objects[Any, Any]) -> None:
        self._directory = directory.resolve()
        self._registry = registry
        self._objects = objects
        self._before: Mapping[str, object] | None = None

    def news(self) -> Iterator[str]:
        """A line for each finding; for a plugin without any, a line that says so."""
        plugins = self._registry.plugins
        # After it was loaded: what changes from now on has another stamp.
        now = self._registry.stamps()
        if now == self._before:
            return
        self._before = now
        for broken in self._registry.broken.values():
            if broken.path.resolve().is_relative_to(self._directory):
                yield str(broken)
        for slug, loaded in plugins.items():
            if loaded.path.resolve().is_relative_to(self._directory):
                yield from self._findings(slug)

    def _findings(self, slug: str) -> Iterator[str]:
        found = lint_plugins(self._registry, [slug], self._settings(slug))[slug]
        for each in found:
            yield f"{slug}: {each.message} ({each.rule}); {each.fix}"
        if not found:
            yield f"{slug}: nothing to improve"

    def _settings(self, slug: str) -> Mapping[str, str]:
        """Those of the services that have this plugin: it may require some."""
        found: dict[str, str] = {}
        for stored in those_of(self._directory, self._objects):
            spec = stored.resource.spec
            if getattr(spec, "plugin", None) == slug:
                found |= spec.env
        return found


class States:
    """How the services of a directory are, after each change that ends somewhere."""

    def __init__(self, directory: Path, objects: Objects[Any, Any]) -> None:
        self._directory = directory
        self._objects = objects
        self._told: dict[Ref, tuple[object, ...]] = {}

    def news(self) -> Iterator[str]:
        """A line for each service that has become Ready or has failed; the log of the controller tells the steps."""
        for stored in those_of(self._directory, self._objects):
            ref = stored.ref
            status = self._objects.of(ref.kind).status(ref.name)
            summary = summarize(stored, status)
            revision = getattr(status, "revision", None)
            state = (summary.verdict, summary.message, stored.generation, revision)
            if state == self._told.get(ref):
                continue
            self._told[ref] = state
            if summary.verdict is Verdict.READY:
                yield f"{ref.label} is Ready: {url(stored.resource) or summary.message}"
            elif summary.verdict is Verdict.FAILED:
                yield f"{ref.label} is not Ready: {summary.reason}: {summary.message}"


class Applying:
    """Applies the manifests of a source after each change, and deletes what it has applied and the source no longer has."""

    def __init__(
        self,
        source: Source,
        objects: Objects[Any, Any],
        tell: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._objects = objects
        self._tell = tell
        self._now = now
        self._mine: set[Ref] = set()

    def run(self, stop: threading.Event) -> None:
        """Follow the source until `stop` is set. What cannot be applied is told, and tried again at the next change."""
        self._load()
        for _ in self._source.watch(stop):
            self._load()

    def _load(self) -> None:
        found = self._source.load()
        for problem in found.problems:
            self._tell(str(problem))
        there = {manifest.resource.ref for manifest in found.manifests}
        for manifest in found.manifests:
            origin = Origin("directory", self._source.place, manifest.path.absolute(), manifest.line)
            try:
                applied = apply(self._objects, manifest.resource, origin, self._now())
            except VaultError as error:
                self._tell(f"{manifest.path}:{manifest.line}: {error}")
                continue
            self._mine.add(manifest.resource.ref)
            if applied.news != "unchanged":
                self._tell(f"{manifest.resource.ref.label} {applied.news}")
        # A source that could not be read as a whole may have more.
        is_whole = found.complete and not found.doubts
        for ref in sorted(self._mine - there, key=str) if is_whole else ():
            try:
                self._objects.of(ref.kind).request_deletion(ref.name, False, self._now())
            except VaultError as error:
                self._tell(f"{ref.label} is not deleted: {error}")
                continue
            self._mine.discard(ref)
            self._tell(f"{ref.label} deleted")
