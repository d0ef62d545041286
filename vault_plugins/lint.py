"""Checks a plugin for common mistakes: undocumented settings, floating image tags, ignored replicas.

A finding does not prevent a plugin from running; the contract checks do. Each rule is one function over the same subject;
a new rule is a new function and an entry in RULES.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from vault_plugins.contract import PluginSettingError
from vault_plugins.failures import broken_by
from vault_plugins.loading import LoadedPlugin

README_SECTIONS: Final = ("settings", "credentials", "security")
VAULT_NET: Final = "vault-net"
# Images that are built from this repository and never pulled, so their tags cannot change remotely.
OWN_IMAGES: Final = "vault-reconciler/"
SWITCHES: Final = ("true", "false", "yes", "no")
"""What a variable that is named like a secret may say without being one, such as MARIADB_RANDOM_ROOT_PASSWORD."""
LONG: Final = 12
"""Characters of a setting that is a secret and no word that is found anywhere."""

_HEADING = re.compile(r"^#{2,}\s+(.+)$", re.MULTILINE)
_SECRET_NAME = re.compile(r"(PASS|PASSWD|PASSWORD|SECRET|TOKEN|_KEY)$", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One thing to improve: the rule's name, what was found, and what to do about it."""

    rule: str
    message: str
    fix: str


@dataclass(frozen=True)
class Subject:
    """The input of the rules. `scaled` is built for two more replicas, None if the plugin refuses them."""

    loaded: LoadedPlugin
    readme: str | None
    env: Mapping[str, str]
    services: Mapping[str, Mapping[str, Any]]
    again: Mapping[str, Mapping[str, Any]]
    scaled: Mapping[str, Mapping[str, Any]] | None
    web: tuple[str, ...]


Rule: TypeAlias = Callable[[Subject], Iterator[Finding]]


def lint(loaded: LoadedPlugin, env: Mapping[str, str], readme: str | None) -> tuple[Finding, ...]:
    """Return the findings about a plugin.

    `env` are settings as in a manifest, without the plugin's defaults; `readme` is the text of its README.md, None
    without one. If the fragment cannot be built, that is the only finding. Raises nothing.
    """
    settings = {**loaded.plugin.default_environment, **env}
    try:
        services, web = _build(loaded, settings)
        again, _ = _build(loaded, settings)
        subject = Subject(loaded, readme, env, services, again, _build_scaled(loaded, settings), web)
        return tuple(finding for rule in RULES for finding in rule(subject))
    except PluginSettingError as error:
        return (Finding("settings", str(error), "lint it with the settings that it requires"),)
    except (Exception, SystemExit) as error:
        return (Finding("build", str(broken_by(error, loaded.slug, loaded.path)), "make it build"),)


def readme_of(loaded: LoadedPlugin) -> str | None:
    """Return the text of the README.md beside the plugin, None if there is none."""
    path = loaded.path.with_name("README.md")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _build(loaded: LoadedPlugin, env: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    plugin = loaded.create()
    services = plugin.build_compose(dict(env)).get("services") or {}
    return {name: dict(service or {}) for name, service in services.items()}, tuple(plugin.get_containers())


def _build_scaled(loaded: LoadedPlugin, env: Mapping[str, str]) -> dict[str, Any] | None:
    replicas = loaded.plugin.min_replicas + 2
    try:
        return _build(loaded, {**env, "VAULT_WEB_REPLICAS": str(replicas)})[0]
    except PluginSettingError:
        return None


def _documentation(subject: Subject) -> Iterator[Finding]:
    if subject.readme is None:
        yield Finding(
            "readme", "there is no README.md beside plugin.py", "write one: what it is, settings, security"
        )
        return
    headings = " ".join(_HEADING.findall(subject.readme)).lower()
    for section in README_SECTIONS:
        if section not in headings:
            yield Finding(
                "readme", f"README.md has no section about {section}", f"add a heading with {section!r} in it"
            )


def _description(subject: Subject) -> Iterator[Finding]:
    if not subject.loaded.plugin.metadata.description.strip():
        yield Finding("description", "metadata has no description", "say in one sentence what the service is")


def _slug(subject: Subject) -> Iterator[Finding]:
    directory = subject.loaded.path.parent.name
    if directory.replace("_", "-") != subject.loaded.slug:
        message = f"the directory is {directory!r}, the slug {subject.loaded.slug!r}"
        yield Finding(
            "slug", message, "name the directory like the slug, so that it is found without a search"
        )


def _determinism(subject: Subject) -> Iterator[Finding]:
    if subject.services != subject.again:
        names = sorted(name for name in subject.services if subject.services[name] != subject.again.get(name))
        message = (
            f"two builds with the same settings differ in {', '.join(names) or 'the services they have'}"
        )
        yield Finding("determinism", message, "leave out times, random values and the order of sets")


def _names(subject: Subject) -> Iterator[Finding]:
    for source, names in (
        ("get_containers()", subject.web),
        ("dependencies", subject.loaded.plugin.dependencies),
    ):
        for name in names:
            if name not in subject.services:
                there = ", ".join(subject.services) or "none"
                yield Finding(
                    "names", f"{source} names {name!r}, the services are: {there}", "use the same name"
                )
    if not subject.web:
        yield Finding(
            "names", "get_containers() names no service", "name the service that answers web requests"
        )


def _replicas(subject: Subject) -> Iterator[Finding]:
    if subject.scaled is not None and subject.scaled == subject.services:
        message = "VAULT_WEB_REPLICAS changes nothing in the fragment"
        yield Finding(
            "replicas", message, 'set "deploy": {"replicas": self.resolve_replicas(env)}, or refuse more'
        )


def _images(subject: Subject) -> Iterator[Finding]:
    for name, service in subject.services.items():
        image = str(service.get("image") or "")
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        if not image:
            yield Finding("image", f"services.{name} has no image", "name one; images are not built here")
        elif tag in ("", "latest") and "@" not in image and not image.startswith(OWN_IMAGES):
            message = f"services.{name}: {image} has a tag that can change"
            yield Finding(
                "image",
                message,
                "use the tag of a version, so that an upgrade is a rollout that can be undone",
            )


def _networks(subject: Subject) -> Iterator[Finding]:
    for name in subject.web:
        networks = subject.services.get(name, {}).get("networks")
        if networks is not None and VAULT_NET not in networks:
            yield Finding(
                "network", f"services.{name} is not on {VAULT_NET}", f"add {VAULT_NET!r} to its networks"
            )


def _ports(subject: Subject) -> Iterator[Finding]:
    for name in subject.web:
        if subject.services.get(name, {}).get("ports"):
            message = f"services.{name} publishes ports, which replicas cannot share"
            yield Finding("ports", message, "leave them out; HAProxy publishes spec.ports.http")


def _healthchecks(subject: Subject) -> Iterator[Finding]:
    for name, service in subject.services.items():
        # A job is used when it has ended.
        if not service.get("healthcheck") and service.get("restart") != "no":
            message = f"services.{name} has no healthcheck"
            yield Finding("healthcheck", message, "add one, so that it is used only once it is ready")


def _secrets(subject: Subject) -> Iterator[Finding]:
    given = set(subject.env.values())
    # A longer one may also be part of what is passed on, such as one of several keys.
    parts = [value for value in given if len(value) >= LONG]
    for name, service in subject.services.items():
        environment = service.get("environment") or {}
        pairs = (
            environment.items()
            if isinstance(environment, Mapping)
            else (e.split("=", 1) for e in environment)
        )
        for key, value in (pair for pair in pairs if len(pair) == 2):
            is_given = str(value) in {*given, *SWITCHES} or any(part in str(value) for part in parts)
            if _SECRET_NAME.search(key) and value and not is_given:
                message = f"services.{name}: {key} has a value that is not from the settings"
                yield Finding(
                    "secret", message, "take it from the settings and raise PluginSettingError without it"
                )


RULES: Final[tuple[Rule, ...]] = (
    _documentation,
    _description,
    _slug,
    _determinism,
    _names,
    _replicas,
    _images,
    _networks,
    _ports,
    _healthchecks,
    _secrets,
)
