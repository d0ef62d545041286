"""The first manifest of a service, drafted from a Compose file, from the original's `.env`, or from a few answers.

A draft is data; it is written only if it validates, so that the first thing that a user sees is not an error in a file that
the product wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reconciler.api import Manifest, VaultError, load_env_file
from reconciler.api.compose_file import ComposeFile
from reconciler.api.kinds import API_VERSION, VAULT_SERVICE
from reconciler.api.manifest import parse
from reconciler.api.yaml_writing import document
from reconciler.core.compose.adapter import adapt
from reconciler.core.compose.ports import MAX_PORT
from reconciler.core.compose.project import Project, ProjectError

__all__ = [
    "Draft",
    "ReadProject",
    "checked",
    "draft_of_compose",
    "draft_of_variables",
    "name_of",
    "published",
    "text_of",
]

ReadProject = Any
"""`read` of the reader of Compose files."""

MAX_NAME: Final = 40
_NO_NAME: Final = re.compile(r"[^a-z0-9-]+")

_MAPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "VAULT_WEB_REPLICAS": ("replicas",),
    "VAULT_WEB_PORT": ("ports", "container"),
    "VAULT_HTTP_PORT": ("ports", "http"),
    "VAULT_WEB_HEALTHCHECK_PATH": ("healthcheck", "path"),
    "VAULT_HEALTH_PATH": ("healthcheck", "path"),
    "VAULT_WEB_HEALTHCHECK_HOST": ("healthcheck", "host"),
}
_NUMBERS: Final = frozenset({"VAULT_WEB_REPLICAS", "VAULT_WEB_PORT", "VAULT_HTTP_PORT"})
_GONE: Final[Mapping[str, str]] = {
    "VAULT_USER": "of the dashboard, which there is no more",
    "VAULT_PASS": "of the dashboard, which there is no more",
    "VAULT_SECRET_KEY": "of the dashboard, which there is no more",
    "VAULT_SESSION_COOKIE_SECURE": "of the dashboard, which there is no more",
    "VAULT_PROXY_TRUST_COUNT": "HAProxy sets X-Forwarded-For itself, and believes no one else's (docs/proxy.md)",
    "VAULT_CSP_REPORT_": "of the dashboard, which there is no more",
    "DOCKER_PROXY_": "there is no Docker proxy; docs/deployment.md says how to limit the controller",
}


@dataclass(frozen=True)
class Draft:
    """A manifest to be written: `settings` go into a file of their own, `notes` are for the user."""

    name: str
    spec: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def name_of(text: str) -> str:
    """The nearest name that a service can have, such as `my-app` of `My App`."""
    name = _NO_NAME.sub("-", text.lower()).strip("-")
    return (name if name[:1].isalpha() else f"app-{name}".rstrip("-"))[:MAX_NAME].rstrip("-")


def draft_of_compose(file: Path, manifest: Path, name: str, read: ReadProject) -> Draft:
    """The service of a Compose file: what is guessed is written down. Raises VaultError for an open question."""
    directory = manifest.absolute().parent
    try:
        relative = file.absolute().relative_to(directory)
    except ValueError:
        raise VaultError(
            f"{file} is not in {directory}, where the manifest goes, or below it; write the manifest there (--output)"
        ) from None
    name = name or name_of(file.absolute().parent.name)
    project: Project = read(f"vault-{name}", ComposeFile(file=str(relative)), {}, directory)
    try:
        adapted = adapt(project)
    except ProjectError as error:
        raise VaultError(project.located(str(error))) from None
    http = published(project, adapted.web, adapted.port)
    spec: dict[str, Any] = {
        "compose": {"file": str(relative), "web": adapted.web, "port": adapted.port},
        **({"ports": {"http": http}} if http else {}),
    }
    return Draft(name, spec)


def draft_of_variables(file: Path, name: str) -> Draft:
    """The service of the original's `.env`. Raises VaultError for a file without VAULT_SERVICE."""
    values = {key: value for key, value in load_env_file(file).items() if value.strip()}
    slug = values.pop("VAULT_SERVICE", "")
    if not slug:
        raise VaultError(
            f"{file}: VAULT_SERVICE is not set, which names the plugin; set it, or give --plugin"
        )
    spec: dict[str, Any] = {"plugin": slug}
    settings, notes = {}, []
    for key, value in values.items():
        if key == "VAULT_ROTATION_INTERVAL":
            if value.isdecimal() and int(value):
                spec["rotation"] = {"interval": f"{int(value)}s"}
            else:
                notes.append(f"{key} is left out: {value!r} is no number of seconds")
        elif key == "VAULT_TIMEZONE":
            spec.setdefault("env", {})["TZ"] = value
        elif path := _MAPPED.get(key):
            if key in _NUMBERS and not value.isdecimal():
                notes.append(f"{key} is left out: {value!r} is no number")
            else:
                _put(spec, path, int(value) if key in _NUMBERS else value, wins=key != "VAULT_HEALTH_PATH")
        elif key == "FILEBROWSER_VERSION":
            settings["FILEBROWSER_IMAGE"] = f"filebrowser/filebrowser:{value}"
        elif why := next((why for begin, why in _GONE.items() if key.startswith(begin)), ""):
            notes.append(f"{key} is left out: {why}")
        elif key.startswith("VAULT_"):
            notes.append(f"{key} is left out: nothing here has this setting")
        else:
            settings[key] = value
    if path_ := spec.get("healthcheck", {}).get("path"):
        spec["healthcheck"]["path"] = path_ if path_.startswith("/") else f"/{path_}"
    return Draft(name or name_of(slug), spec, settings, tuple(notes))


def text_of(draft: Draft, settings_file: str) -> str:
    """The manifest of a draft. `settings_file` is the name of the file with its settings."""
    spec = dict(draft.spec)
    if draft.settings:
        spec["envFrom"] = [{"file": settings_file}]
    return document(
        {
            "apiVersion": API_VERSION,
            "kind": VAULT_SERVICE.name,
            "metadata": {"name": draft.name},
            "spec": spec,
        },
        readable=True,
    )


def checked(text: str, path: Path) -> list[Manifest]:
    """The manifest of a text that will be at `path`. Raises ManifestError."""
    return parse(text, path)


def _put(spec: dict[str, Any], path: tuple[str, ...], value: Any, *, wins: bool) -> None:
    for step in path[:-1]:
        spec = spec.setdefault(step, {})
    if wins or path[-1] not in spec:
        spec[path[-1]] = value


def published(project: Project, web: str, port: int) -> int | None:
    """The port of the host that the Compose file gives the web service."""
    for entry in project.document["services"][web].get("ports") or ():
        found = str(entry.get("published") or "") if isinstance(entry, Mapping) else ""
        if entry.get("target") == port and found.isdecimal() and 1 <= int(found) <= MAX_PORT:
            return int(found)
    return None
