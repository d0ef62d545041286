"""What the plugin of a service says of it, for its settings.

The core runs a plugin's code here and in `fragment.ask`, before anything else. So all that follows is a function of values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.api import VaultService
from reconciler.core.compose.fragment import BuildError, Offer, ask, asking
from vault_plugins.contract import MAX_PORT, MAX_REPLICAS, Healthcheck, VaultServicePlugin

__all__ = ["Proposal", "propose", "resolve_settings"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The fragment that a plugin offers for `settings`, and what they come to. `defaults` are those that it has itself."""

    settings: Mapping[str, str] = field(repr=False)
    defaults: frozenset[str]
    offer: Offer
    health: Healthcheck
    port: int
    replicas: int
    single_writer: bool

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it: of equal ones the same, and of others another, also where they only differ in a type."""
        offer, health = self.offer, self.health
        parts = (
            list(self.settings.items()),
            sorted(self.defaults),
            [offer.slug, offer.document, offer.web, offer.dependencies, offer.warnings],
            [health.path, health.host, self.port, self.replicas, self.single_writer],
        )
        # As text, because 1 and True are equal, and so are mappings of another order. What a plugin has in place of a text
        # is found later.
        text = json.dumps(parts, default=repr)
        return hashlib.sha256(text.encode()).digest()


def propose(service: VaultService, plugin: VaultServicePlugin, secrets: Mapping[str, str]) -> Proposal:
    """Ask the plugin; `secrets` is what `spec.envFrom` came to. Raises BuildError."""
    settings = resolve_settings(service, plugin, secrets)
    offer = ask(plugin, settings)
    health, port, replicas = _resolve(plugin, settings)
    return Proposal(
        settings,
        frozenset(plugin.default_environment),
        offer,
        health,
        port,
        replicas,
        bool(plugin.single_writer),
    )


def resolve_settings(
    service: VaultService, plugin: VaultServicePlugin, secrets: Mapping[str, str]
) -> dict[str, str]:
    """default_environment < envFrom (`secrets`) < env, overridden by dedicated fields of the spec."""
    spec = service.spec
    settings = {**plugin.default_environment, **secrets, **spec.env}
    overrides = {
        # What is stopped is built as it would run, so that it has the same workloads and revisions when it is started.
        "VAULT_WEB_REPLICAS": spec.replicas or None,
        "VAULT_WEB_PORT": spec.ports.container,
        "VAULT_WEB_HEALTHCHECK_PATH": spec.healthcheck.path,
        "VAULT_WEB_HEALTHCHECK_HOST": spec.healthcheck.host,
    }
    settings |= {name: str(value) for name, value in overrides.items() if value is not None}
    return {"VAULT_SERVICE": plugin.metadata.slug, **settings}


def _resolve(plugin: VaultServicePlugin, settings: Mapping[str, str]) -> tuple[Healthcheck, int, int]:
    with asking(plugin):
        health = plugin.resolve_healthcheck(settings)
        port = plugin.resolve_port(settings)
        replicas = plugin.resolve_replicas(settings)
    # A plugin may override these; what comes back gets into a configuration and into arithmetic.
    for method, value, is_right in (
        ("resolve_healthcheck", health, isinstance(health, Healthcheck)),
        ("resolve_port", port, type(port) is int and 1 <= port <= MAX_PORT),
        ("resolve_replicas", replicas, type(replicas) is int and 0 <= replicas <= MAX_REPLICAS),
    ):
        if not is_right:
            raise BuildError(
                f"plugin {plugin.metadata.slug!r}: {method}() returns {_shown(value)}, which cannot be used"
            )
    return health, port, replicas


def _shown(value: object) -> str:
    """A number as it is; anything else by its type, since its text may be a secret or a million characters long."""
    return repr(value) if type(value) is int and abs(value) < 10**9 else f"a {type(value).__name__}"
