"""What a Swarm cannot do of a stack, and what it does in another way: one table, which decides and is on the page.

The engine raises RefusedError for the first finding of a rule that refuses; `vaultctl diff --engine swarm` shows those of
all rules. The input is what `docker compose config` prints, so each field has one form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.compose.networks import FIXED, read_networks
from reconciler.core.desired.stack import JSON
from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.placement import is_local

__all__ = [
    "ADDRESSES",
    "CONTENTS",
    "DRIVERS",
    "FIELDS",
    "PRIVILEGES",
    "RULES",
    "TMPFS",
    "Finding",
    "Rule",
    "judge",
    "page",
    "refuse",
]

Found = Iterator[tuple[str, str]]
"""Where something is, as a path in the document, and what, for the text of the rule."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place of a document where a Swarm differs. `is_refused`: it cannot run there like that."""

    place: str
    text: str
    is_refused: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`fields` are for the page; `text` may name `{what}` was found; `find` looks at one service of a document."""

    fields: str
    text: str
    advice: str
    find: Callable[[str, JSON, JSON], Found]
    is_refused: bool = True

    def findings(self, name: str, service: JSON, document: JSON) -> Iterator[Finding]:
        """All that it finds of the service `name`."""
        for place, what in self.find(name, service, document):
            yield Finding(place, f"{self.text.format(what=what)}; {self.advice}", self.is_refused)


COPIED: Final[Mapping[str, str]] = {
    "hostname": "Hostname",
    "working_dir": "Dir",
    "user": "User",
    "group_add": "Groups",
    "tty": "TTY",
    "stdin_open": "OpenStdin",
    "read_only": "ReadOnly",
    "stop_signal": "StopSignal",
    "init": "Init",
    "entrypoint": "Command",
    "command": "Args",
    "sysctls": "Sysctls",
    "cap_add": "CapabilityAdd",
    "cap_drop": "CapabilityDrop",
    "labels": "Labels",
}
"""Fields that mean the same under another name."""

CONVERTED: Final = frozenset(
    {
        "image", "environment", "security_opt", "stop_grace_period", "healthcheck", "extra_hosts", "dns", "dns_search",
        "dns_opt", "secrets", "configs", "ulimits", "volumes", "tmpfs", "shm_size", "networks", "logging", "deploy",
        "restart", "cpus", "mem_limit", "mem_reservation", "pids_limit", "platform", "ports", "ipc",
    }
)  # fmt: skip
WITHOUT_EFFECT: Final = frozenset({"depends_on", "expose", "scale", "pull_policy", "build", "links"})
"""Fields that the other engine does not follow either, or that a plan follows."""

OWN_IPC: Final = ("", "private", "shareable")
NO_NEW_PRIVILEGES: Final = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
TMPFS_OPTIONS: Final = ("size", "mode")
BRIDGE: Final = ("", "bridge", "default", "overlay")
"""Drivers of networks in whose place there is an overlay."""


def _fields(name: str, service: JSON, document: JSON) -> Found:
    known = {*COPIED, *CONVERTED, *WITHOUT_EFFECT}
    for key, value in sorted(service.items()):
        if value and key not in known and not key.startswith("x-"):
            yield f"services.{name}.{key}", ""
    if str(service.get("ipc") or "") not in OWN_IPC:
        yield f"services.{name}.ipc", ""


def _privileges(name: str, service: JSON, document: JSON) -> Found:
    for option in service.get("security_opt") or ():
        if option not in NO_NEW_PRIVILEGES:
            yield f"services.{name}.security_opt", repr(option)


def _tmpfs(name: str, service: JSON, document: JSON) -> Found:
    for each in service.get("tmpfs") or ():
        options = [word.partition("=")[0] for word in str(each).partition(":")[2].split(",") if word]
        for option in sorted(set(options) - set(TMPFS_OPTIONS)):
            yield f"services.{name}.tmpfs", repr(option)


def _addresses(name: str, service: JSON, document: JSON) -> Found:
    for network, place in read_networks(service.get("networks")).items():
        for field in FIXED:
            if place.get(field):
                yield f"services.{name}.networks.{network}.{field}", ""


def _drivers(name: str, service: JSON, document: JSON) -> Found:
    bodies = document.get("networks") or {}
    for network in read_networks(service.get("networks")):
        body = bodies.get(network) or {}
        if not body.get("external") and str(body.get("driver") or "") not in BRIDGE:
            yield f"networks.{network}.driver", repr(body["driver"])


def _contents(name: str, service: JSON, document: JSON) -> Found:
    for kind in ("secrets", "configs"):
        for entry in service.get(kind) or ():
            source = str(entry["source"] if isinstance(entry, Mapping) else entry)
            body = (document.get(kind) or {}).get(source) or {}
            if "content" not in body and not body.get("file"):
                yield f"{kind}.{source}, which {name!r} uses", ""


def _binds(name: str, service: JSON, document: JSON) -> Found:
    for number, mount in enumerate(service.get("volumes") or ()):
        if mount.get("type") == "bind":
            yield f"services.{name}.volumes[{number}]", str(mount.get("source"))


def _volumes(name: str, service: JSON, document: JSON) -> Found:
    bodies = document.get("volumes") or {}
    for mount in service.get("volumes") or ():
        source = mount.get("source") or ""
        if (mount.get("type") or "volume") == "volume" and source and is_local(bodies.get(source) or {}):
            yield f"volumes.{source}", str((bodies.get(source) or {}).get("name") or source)


def _ports(name: str, service: JSON, document: JSON) -> Found:
    for number, port in enumerate(service.get("ports") or ()):
        if port.get("published"):
            yield f"services.{name}.ports[{number}]", str(port["published"])


FIELDS: Final = Rule(
    "`privileged`, `devices`, `network_mode`, `pid`, shared `ipc`, and others that no other line names",
    "Docker Swarm has nothing like it",
    "leave it out, or run the service on one host",
    _fields,
)
PRIVILEGES: Final = Rule(
    "`security_opt` other than `no-new-privileges`",
    "Docker Swarm has nothing like {what}",
    "leave it out",
    _privileges,
)
TMPFS: Final = Rule(
    "`tmpfs` options other than `size` and `mode`",
    "Docker Swarm has no option {what}",
    "leave it out",
    _tmpfs,
)
ADDRESSES: Final = Rule(
    "fixed addresses of a service in a network",
    "Docker Swarm chooses the addresses of tasks",
    "leave it out",
    _addresses,
)
DRIVERS: Final = Rule(
    "networks with another driver than `bridge` or `overlay`",
    "instances on several nodes cannot share {what}",
    "leave it out",
    _drivers,
)
CONTENTS: Final = Rule(
    "`secrets` and `configs` from an environment variable, or external ones",
    "has neither file nor content",
    "with Docker Swarm it needs one of them",
    _contents,
)
RULES: Final = (
    FIELDS,
    PRIVILEGES,
    TMPFS,
    ADDRESSES,
    DRIVERS,
    CONTENTS,
    Rule(
        "bind mounts",
        "{what} is that of the node where a task runs, and a task is rejected where it is missing",
        "have it on each node, or constrain the service to nodes that have it",
        _binds,
        is_refused=False,
    ),
    Rule(
        "local volumes",
        "volume {what} begins empty on the node of its first instance, and each later one runs there",
        "copy its content before the move, or use a driver that nodes share",
        _volumes,
        is_refused=False,
    ),
    Rule(
        "`ports` of a service that is not web",
        "port {what} is opened on the node where its task runs, and nowhere else",
        "constrain the service to one node, or reach it over a network of the Swarm",
        _ports,
        is_refused=False,
    ),
)
"""All rules that look at the document; `judge` adds what is known of images."""

LOCAL_IMAGE: Final = (
    "image {what} has no digest of a registry, so each node has to have it",
    "push it to a registry, or load it on each node",
)
"""The same of an image: its text and its advice."""


def refuse(rule: Rule, name: str, service: JSON, document: JSON | None = None) -> None:
    """Raises RefusedError for the first finding of a rule."""
    for finding in rule.findings(name, service, document or {}):
        raise RefusedError(str(finding))


def judge(
    document: JSON, names: Iterable[str], images: Mapping[str, bool], provided: Iterable[str] = ()
) -> Sequence[Finding]:
    """What differs on a Swarm for these services of a document, what is refused first.

    `images`: whether each image that they name has a digest of a registry. `provided` are directories of the host whose
    files become secrets of the Swarm.
    """
    found: dict[Finding, None] = {}
    hidden = set(provided)
    for name in names:
        service = _without(document["services"][name], hidden)
        for rule in RULES:
            found |= dict.fromkeys(rule.findings(name, service, document))
        image = str(service.get("image") or "")
        if not images.get(image, True):
            found[Finding(f"services.{name}.image", "; ".join(LOCAL_IMAGE).format(what=image), False)] = None
    return sorted(found, key=lambda finding: not finding.is_refused)


def _without(service: JSON, sources: set[str]) -> dict[str, Any]:
    mounts = [each for each in service.get("volumes") or () if (each.get("source") or "") not in sources]
    return {**service, "volumes": mounts}


def page() -> str:
    """The rules as a table of docs/swarm.md."""
    rows = [
        f"| {rule.fields} | {'refused: ' if rule.is_refused else ''}{rule.text.format(what='…')} | {rule.advice} |"
        for rule in RULES
    ]
    text, advice = (each.format(what="…") for each in LOCAL_IMAGE)
    return "\n".join(
        ["| field | on a Swarm | what to do |", "|---|---|---|", *rows, f"| `image` | {text} | {advice} |"]
    )
