"""How every field of the Compose specification is treated: one row for each that differs from its parent.

The fragment reader, admission's list of harmless fields, and docs/compose.md all use this table. A field that has no
row, and no parent with one, is not known and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from reconciler.core.compose.networks import FIXED

EVERY: Final = "*"
"""Stands in a path for the name of an entry that the author chooses."""


class Treatment(StrEnum):
    """How a field is treated."""

    HONOURED = "honoured"
    MOVED = "moved to HAProxy"
    WARNED = "warned about"
    REFUSED = "refused"
    ADMITTED = "by profile"


@dataclass(frozen=True, slots=True)
class Field:
    """One row. `note` completes "services.web.X …" in a message; `means` is which values it is about."""

    path: str
    treatment: Treatment
    note: str = ""
    means: Callable[[Any], bool] = bool


def _other_than(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value not in (None, *values)


H, M, W, R, A = (
    Treatment.HONOURED, Treatment.MOVED, Treatment.WARNED, Treatment.REFUSED, Treatment.ADMITTED,
)  # fmt: skip
_SWARM: Final = "is for Swarm; the controller replaces replicas as spec.strategy says"
_PLACING: Final = "is for Swarm, which this engine does not run"
_BUILD: Final = "is built elsewhere; the controller starts images"
_HOST_FILE: Final = "reads a file of the controller's machine"

_SERVICE_HONOURED: Final = (
    "blkio_config", "cap_drop", "command", "configs", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota",
    "cpu_shares", "cpus", "cpuset", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "environment", "expose",
    "extra_hosts", "group_add", "healthcheck", "hostname", "image", "init", "labels", "mem_limit", "mem_reservation",
    "mem_swappiness", "memswap_limit", "platform", "read_only", "restart", "scale", "secrets", "shm_size", "stdin_open",
    "stop_grace_period", "stop_signal", "storage_opt", "tmpfs", "tty", "ulimits", "user", "working_dir",
)  # fmt: skip
_SERVICE_ADMITTED: Final = (
    "annotations", "build", "cap_add", "cgroup", "cgroup_parent", "cpu_rt_period", "cpu_rt_runtime", "credential_spec",
    "device_cgroup_rules", "devices", "env_file", "extends", "external_links", "gpus", "ipc", "isolation", "label_file",
    "logging", "network_mode", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "post_start", "pre_stop",
    "privileged", "provider", "runtime", "security_opt", "sysctls", "use_api_socket", "userns_mode", "uts", "volumes",
    "volumes_from",
)  # fmt: skip

SERVICE: Final = (
    *(Field(name, H) for name in _SERVICE_HONOURED),
    *(Field(name, A) for name in _SERVICE_ADMITTED),
    Field("attach", W, "has no effect; vaultctl logs follows every service", _other_than(True)),
    Field("container_name", W, "is not given, since a container starts beside the one that it replaces; it is an alias of "
          "the service in its networks"),
    Field("depends_on", H),
    Field("depends_on.*", H),
    Field("depends_on.*.condition", H),
    Field("depends_on.*.required", W, "has no effect on a service that is in the fragment; it is waited for",
          _other_than(True)),
    Field("depends_on.*.restart", W, "has no effect; a service is not restarted with what it needs"),
    Field("deploy", H),
    Field("deploy.mode", R, "can only be replicated; the number of replicas is in spec.replicas or deploy.replicas",
          _other_than("replicated")),
    Field("deploy.endpoint_mode", W, _PLACING),
    Field("deploy.labels", W, "labels a Swarm service and no container; use labels"),
    Field("deploy.placement", W, _PLACING),
    Field("deploy.replicas", H),
    Field("deploy.resources", H),
    Field("deploy.resources.limits", H),
    Field("deploy.resources.reservations", H),
    Field("deploy.resources.reservations.cpus", W, "is not reserved by the engine; use deploy.resources.limits.cpus"),
    Field("deploy.resources.reservations.memory", H),
    Field("deploy.resources.reservations.generic_resources", W, _PLACING),
    Field("deploy.resources.reservations.devices", A),
    Field("deploy.restart_policy", H),
    Field("deploy.restart_policy.condition", H),
    Field("deploy.restart_policy.max_attempts", H),
    Field("deploy.restart_policy.delay", W, "has no effect; the engine chooses the time between two restarts"),
    Field("deploy.restart_policy.window", W, "has no effect; the engine chooses the time between two restarts"),
    Field("deploy.rollback_config", W, _SWARM),
    Field("deploy.update_config", W, _SWARM),
    Field("develop", W, "has no effect; images are built elsewhere"),
    Field("links", W, "follows the container that was there first; use networks.NAME.aliases of the other service"),
    Field("mac_address", H, "of one container at a time: refused where there can be two"),
    Field("models", R, "needs Docker's model runner, which the controller does not know; run the model as a service"),
    Field("networks", H),
    Field("networks.*", H),
    *(Field(f"networks.*.{name}", H, "of one container at a time: refused where there can be two") for name in FIXED),
    *(Field(f"networks.*.{name}", H) for name in ("aliases", "gw_priority", "interface_name", "priority")),
    Field("networks.*.driver_opts", A),
    Field("ports", M, "of a web service: its HTTP port; one that HAProxy cannot serve is refused, others are warned about; "
          "of any other service by profile"),
    Field("profiles", R, "would keep the service from being started, and nothing activates a profile here; leave out the "
          "field or the service"),
    Field("pull_policy", W, "is not followed; an image is fetched when it is not on this machine",
          _other_than("missing", "if_not_present")),
    Field("pull_refresh_after", W, "is not followed; an image is fetched when it is not on this machine"),
)  # fmt: skip

NETWORK: Final = (
    *(Field(name, H) for name in ("attachable", "enable_ipv4", "enable_ipv6", "internal", "labels")),
    *(Field(name, A) for name in ("driver", "driver_opts", "external", "ipam", "name")),
)
VOLUME: Final = (
    Field("labels", H),
    *(Field(name, A) for name in ("driver", "driver_opts", "external", "name")),
)
CONFIG: Final = (
    Field("content", H),
    Field("labels", H),
    *(Field(name, A) for name in ("environment", "external", "file", "name", "template_driver")),
)
SECRET: Final = (
    Field("labels", H),
    *(Field(name, A) for name in
      ("driver", "driver_opts", "environment", "external", "file", "name", "template_driver")),
)  # fmt: skip
TOP: Final = (
    *(Field(name, H) for name in ("services", "networks", "volumes", "configs", "secrets")),
    Field("version", H, "says nothing to Compose either"),
    Field("name", W, "is not used; the project is called after the VaultService"),
    Field("include", R, f"{_HOST_FILE}; write the services out"),
    Field(
        "models",
        R,
        "needs Docker's model runner, which the controller does not know; run the model as a service",
    ),
)

_DEVICE_RATE: Final = frozenset({"path", "rate"})
_FILE: Final = frozenset({"gid", "mode", "source", "target", "uid"})
_HOOK: Final = frozenset({"command", "environment", "privileged", "user", "working_dir"})
_UPDATE: Final = frozenset(
    {"delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism"}
)
CLOSED: Final[Mapping[str, frozenset[str]]] = {
    "blkio_config": frozenset({
        "device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "weight", "weight_device",
    }),
    **{f"blkio_config.device_{kind}": _DEVICE_RATE for kind in ("read_bps", "read_iops", "write_bps", "write_iops")},
    "blkio_config.weight_device": frozenset({"path", "weight"}),
    "configs": _FILE,
    "depends_on.*": frozenset({"condition", "required", "restart"}),
    "deploy": frozenset({
        "endpoint_mode", "labels", "mode", "placement", "replicas", "resources", "restart_policy", "rollback_config",
        "update_config",
    }),
    "deploy.placement": frozenset({"constraints", "max_replicas_per_node", "preferences"}),
    "deploy.resources": frozenset({"limits", "reservations"}),
    "deploy.resources.limits": frozenset({"cpus", "memory", "pids"}),
    "deploy.resources.reservations": frozenset({"cpus", "devices", "generic_resources", "memory"}),
    "deploy.restart_policy": frozenset({"condition", "delay", "max_attempts", "window"}),
    "deploy.rollback_config": _UPDATE,
    "deploy.update_config": _UPDATE,
    "healthcheck": frozenset({
        "disable", "interval", "retries", "start_interval", "start_period", "test", "timeout",
    }),
    "logging": frozenset({"driver", "options"}),
    "networks.*": frozenset({
        "aliases", "driver_opts", "gw_priority", "interface_name", "ipv4_address", "ipv6_address", "link_local_ips",
        "mac_address", "priority",
    }),
    "ports": frozenset({"app_protocol", "host_ip", "mode", "name", "protocol", "published", "target"}),
    "post_start": _HOOK,
    "pre_stop": _HOOK,
    "secrets": _FILE,
    "ulimits.*": frozenset({"hard", "soft"}),
    "volumes": frozenset({
        "bind", "consistency", "image", "read_only", "source", "target", "tmpfs", "type", "volume",
    }),
    "volumes.image": frozenset({"subpath"}),
    "volumes.tmpfs": frozenset({"mode", "size"}),
    "volumes.volume": frozenset({"labels", "nocopy", "subpath"}),
}  # fmt: skip
"""Mappings in a service, or in a list of it, that have these keys and no others, independent of their row."""

SECTIONS: Final[Mapping[str, tuple[Field, ...]]] = {
    "": TOP,
    "services": SERVICE,
    "networks": NETWORK,
    "volumes": VOLUME,
    "configs": CONFIG,
    "secrets": SECRET,
}


_TELLING: Final = {
    section: tuple((row, row.path.split(".")) for row in rows if row.treatment in (W, R))
    for section, rows in SECTIONS.items()
}
"""The rows that say more than "honoured", with the steps of their paths: every pass asks for them."""


def row_of(section: str, path: str) -> Field | None:
    """The row of a field: its own, or that of the innermost field around it which is treated as one."""
    rows = {row.path: row for row in SECTIONS[section]}
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        around = ".".join(steps[:length])
        if around in rows:
            is_split = length < len(steps) and any(other.startswith(f"{around}.") for other in rows)
            return None if is_split else rows[around]
    return None


@dataclass(frozen=True, slots=True)
class Met:
    """A row that a fragment has met: where, and which row."""

    place: str
    field: Field

    def __str__(self) -> str:
        return f"{self.place} {self.field.note}"


def met(section: str, name: str, body: Mapping[str, Any]) -> Iterator[Met]:
    """The rows that say more than "honoured" and that this entry meets."""
    prefix = f"{section}.{name}." if section else ""
    for row, steps in _TELLING[section]:
        if steps[0] not in body and steps[0] != EVERY:
            continue
        for place, value in _at(body, steps, ""):
            if row.means(value):
                yield Met(f"{prefix}{place}", row)


def _at(value: Any, steps: list[str], place: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield place, value
    elif isinstance(value, Mapping):
        keys = list(value) if steps[0] == EVERY else [steps[0]] if steps[0] in value else []
        for key in keys:
            yield from _at(value[key], steps[1:], f"{place}.{key}" if place else str(key))


def harmless(section: str) -> frozenset[str]:
    """Fields of an entry that admission need not look at: they ask for nothing outside of the stack."""
    return frozenset(
        row.path
        for row in SECTIONS[section]
        if row.treatment is not A and row.treatment is not M and "." not in row.path
    )
