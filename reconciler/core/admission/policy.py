"""The types of admission: profiles, the operator's policy, subjects, rules and findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, TypeAlias

from reconciler.core.admission.hostnames import ALL_HOSTNAMES
from reconciler.core.admission.images import PROXY_IMAGES
from reconciler.core.admission.roots import HOST_ROOTS, HostRoot, Seen, unseen_host
from reconciler.core.compose.project import NOTHING_KEPT, Kept
from reconciler.core.compose.shape import escaped

Subnet: TypeAlias = IPv4Network | IPv6Network


class Profile(StrEnum):
    """How much a fragment may ask for; each one allows more than the one before it."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"
    PRIVILEGED = "privileged"


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of the controller's operator, as opposed to those of authors of manifests and plugins.

    `allow_privileged` names the VaultServices that may have the profile of that name. Containers may mount what lies below
    `host_roots`. `private` are paths that no container may see, such as the controller's own state, and
    `engine_directories` says where the engine has its volumes and layers, which no container may see either. `look` says
    what the host has at an absolute path, `routes` which networks the host reaches without the engine. `proxy_images` are
    patterns of what may run as HAProxy; `bind` is the address of the host that ports are published on, empty for all;
    `hostnames` are patterns of the host names that routes may claim. `kept` are the volumes and networks of the project
    that the service was adopted from.
    """

    allow_privileged: frozenset[str] = frozenset()
    host_roots: tuple[HostRoot, ...] = HOST_ROOTS
    private: tuple[str, ...] = ()
    engine_directories: Callable[[], tuple[str, ...]] = tuple
    look: Callable[[str], Seen] = unseen_host
    routes: Callable[[], tuple[Subnet, ...]] = tuple
    proxy_images: tuple[str, ...] = PROXY_IMAGES
    bind: str = ""
    hostnames: tuple[str, ...] = ALL_HOSTNAMES
    kept: Kept = NOTHING_KEPT

    @property
    def hidden(self) -> tuple[str, ...]:
        """All paths that no root opens, beside those of the system."""
        return (*self.private, *self.engine_directories())


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One refused value: its path (`services.db.cap_add[0]`), the rule, the problem, and the remedy."""

    path: str
    rule: str
    problem: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem} ({self.rule}); {self.way_out}"


@dataclass(frozen=True, slots=True)
class Subject:
    """One entry of a section that is being checked.

    `is_web` when HAProxy serves it, `siblings` are all services. `writable` are the paths of the host, by name and by
    where they lead, that any container of the stack may write to.
    """

    section: str
    name: str
    body: Mapping[str, Any]
    is_web: bool
    siblings: frozenset[str]
    policy: Policy
    writable: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """Where it stands in the fragment."""
        return f"{self.section}.{self.name}"


Hits: TypeAlias = Iterator[tuple[str, object]]
"""Where in a value (`[2]`, or nothing), and the text that offends there, empty when the place says it all."""

Check: TypeAlias = Callable[[Any, Subject], Hits]

MAX_QUOTE: Final = 80
"""Characters of an offending text that a message repeats."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table. `field` is a dotted path in an entry of `section`, empty for the entry itself."""

    name: str
    field: str
    check: Check
    problem: str
    way_out: str
    section: str = "services"

    def apply(self, subject: Subject) -> Iterator[Finding]:
        """What this rule finds in an entry; nothing in one of another section."""
        if subject.section != self.section:
            return
        field = f".{self.field}" if self.field else ""
        for place, offending in self.check(at(subject.body, self.field), subject):
            quote = f"{_quoted(offending)} " if offending != "" else ""
            path = escaped(f"{subject.path}{field}{place}")
            yield Finding(path, self.name, quote + self.problem, self.way_out)


def at(body: Mapping[str, Any], field: str) -> Any:
    """The value at a dotted path, None where there is none."""
    if "." not in field:
        return body.get(field) if field else body
    value: Any = body
    for key in field.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _quoted(value: object) -> str:
    # repr, because a line break in a value must not look like another finding.
    text = repr(value)
    return text if len(text) <= MAX_QUOTE else f"{text[: MAX_QUOTE - 1]}…"
