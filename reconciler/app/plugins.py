"""Checks plugins, and describes them for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.api.errors import VaultError

if TYPE_CHECKING:
    from vault_plugins.lint import Finding
    from vault_plugins.loading import LoadedPlugin
    from vault_plugins.registry import Registry

__all__ = ["finding_documents", "lint_plugins", "plugin_document"]


def lint_plugins(
    registry: Registry, slugs: Sequence[str], env: Mapping[str, str]
) -> dict[str, tuple[Finding, ...]]:
    """The findings of these plugins, or of all, by slug; `env` are settings to build with. Raises PluginError for an
    unknown slug.
    """
    from vault_plugins.lint import lint, readme_of

    chosen = {slug: registry.get(slug) for slug in slugs} or registry.plugins
    return {
        slug: _with_admission(loaded, env, lint(loaded, env, readme_of(loaded)))
        for slug, loaded in chosen.items()
    }


def _with_admission(
    loaded: LoadedPlugin, env: Mapping[str, str], found: Sequence[Finding]
) -> tuple[Finding, ...]:
    """The findings and those of admission, without duplicates."""
    from reconciler.core.admission import inspect
    from vault_plugins.lint import Finding

    known = {finding.rule for finding in found}
    if known & {"build", "settings"}:
        return tuple(found)
    plugin = loaded.create()
    try:
        asked = inspect(plugin, {**plugin.default_environment, **env})
    except VaultError as error:
        return (*found, Finding("fragment", str(error), "return a fragment from which a stack can be built"))
    more = (Finding(a.rule, f"{a.path}: {a.problem}", a.way_out) for a in asked if a.rule not in known)
    return (*found, *more)


def finding_documents(found: Mapping[str, Sequence[Finding]]) -> list[dict[str, str]]:
    """The findings of `lint_plugins` for programs."""
    return [
        {"plugin": slug, "rule": finding.rule, "message": finding.message, "fix": finding.fix}
        for slug, findings in found.items()
        for finding in findings
    ]


def plugin_document(loaded: LoadedPlugin) -> dict[str, Any]:
    """The metadata of a plugin for programs."""
    plugin = loaded.plugin
    return {
        "slug": loaded.slug,
        "name": plugin.metadata.name,
        "description": plugin.metadata.description,
        "port": plugin.metadata.default_port,
        "healthcheckPath": plugin.metadata.healthcheck_path,
        "minReplicas": plugin.min_replicas,
        "singleWriter": plugin.single_writer,
        "dependencies": list(plugin.dependencies),
        "defaultEnvironment": dict(plugin.default_environment),
        "path": str(loaded.path),
    }
