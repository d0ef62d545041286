"""A service of a Compose file as the task of a Swarm service.

The input is what `docker compose config` prints, so each field has one form. What Swarm has no counterpart for is refused:
a container without it would be another one than the manifest asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reconciler.core.desired.stack import JSON
from reconciler.engines.swarm.fit import COPIED, FIELDS, PRIVILEGES, TMPFS, refuse

__all__ = ["host_ports", "nanoseconds", "resources", "restart_policy", "task_template", "tmpfs_mounts"]

SECOND: Final = 1_000_000_000
"""In nanoseconds, and a processor in billionths."""
RESTART_DELAY: Final = 1.0
"""Seconds before Swarm starts a task again, where the definition does not say."""
SHM: Final = "/dev/shm"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|h|m|s)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

_RULES: Final[Mapping[str, str]] = {
    "always": "any",
    "unless-stopped": "any",
    "no": "none",
    "none": "none",
    "any": "any",
}


def task_template(
    name: str,
    service: JSON,
    *,
    image: str,
    mounts: Sequence[JSON],
    files: JSON,
    networks: Sequence[JSON],
    constraints: Sequence[str],
) -> dict[str, Any]:
    """The task of one instance of the Compose service `name`. Raises RefusedError for what Swarm cannot do.

    `files` are its Secrets and Configs, `mounts` and `networks` as Swarm has them.
    """
    refuse(FIELDS, name, service)
    refuse(PRIVILEGES, name, service)
    deploy = service.get("deploy") or {}
    placement = deploy.get("placement") or {}
    template: dict[str, Any] = {
        "ContainerSpec": {**_container_spec(service), "Image": image, "Mounts": list(mounts), **files},
        "Resources": resources(service),
        "RestartPolicy": restart_policy(service),
        "Placement": {
            "Constraints": [*(placement.get("constraints") or ()), *constraints],
            "Preferences": [
                {"Spread": {"SpreadDescriptor": each["spread"]}}
                for each in placement.get("preferences") or ()
            ],
        },
        "Networks": list(networks),
    }
    if platform := service.get("platform"):
        system, _, architecture = str(platform).partition("/")
        template["Placement"]["Platforms"] = [{"OS": system, "Architecture": architecture.partition("/")[0]}]
    if logging := service.get("logging"):
        template["LogDriver"] = {"Name": logging.get("driver"), "Options": logging.get("options") or {}}
    return template


def _container_spec(service: JSON) -> dict[str, Any]:
    """What its container is, without image, mounts and files."""
    spec: dict[str, Any] = {
        swarm: service[field] for field, swarm in COPIED.items() if service.get(field) is not None
    }
    convert: Mapping[str, Callable[[Any], dict[str, Any]]] = {
        "environment": lambda value: {"Env": [k if v is None else f"{k}={v}" for k, v in value.items()]},
        "stop_grace_period": lambda value: {"StopGracePeriod": nanoseconds(value)},
        "healthcheck": lambda value: {"Healthcheck": _health_check(value)},
        "extra_hosts": lambda value: {"Hosts": [_host(each) for each in value]},
        "ulimits": lambda value: {"Ulimits": [_limit(each, body) for each, body in value.items()]},
        "security_opt": lambda value: {"Privileges": {"NoNewPrivileges": True}},
    }
    for field, converted in convert.items():
        if service.get(field):
            spec |= converted(service[field])
    dns = {
        swarm: service[field]
        for field, swarm in (("dns", "Nameservers"), ("dns_search", "Search"), ("dns_opt", "Options"))
        if service.get(field)
    }
    return spec | ({"DNSConfig": dns} if dns else {})


def resources(service: JSON) -> dict[str, Any]:
    """Its limits and reservations; those of `deploy` are the same as those beside it, or Compose refuses them."""
    wanted = (service.get("deploy") or {}).get("resources") or {}
    limits, reserved = wanted.get("limits") or {}, wanted.get("reservations") or {}
    found = {
        "Limits": {
            "NanoCPUs": round(float(limits.get("cpus") or service.get("cpus") or 0) * SECOND),
            "MemoryBytes": int(limits.get("memory") or service.get("mem_limit") or 0),
            "Pids": int(limits.get("pids") or service.get("pids_limit") or 0),
        },
        "Reservations": {
            "NanoCPUs": round(float(reserved.get("cpus") or 0) * SECOND),
            "MemoryBytes": int(reserved.get("memory") or service.get("mem_reservation") or 0),
        },
    }
    return {
        kind: {field: value for field, value in each.items() if value > 0} for kind, each in found.items()
    }


def restart_policy(service: JSON) -> dict[str, Any]:
    """When Swarm starts its task again. As in Compose, `deploy.restart_policy` is stronger than `restart`."""
    own = (service.get("deploy") or {}).get("restart_policy") or {}
    written, _, attempts = str(service.get("restart") or "no").partition(":")
    rule = str(own.get("condition") or ("any" if own else written))
    number = own.get("max_attempts") or (attempts if attempts.isdecimal() else 0)
    policy: dict[str, Any] = {
        "Condition": _RULES.get(rule, rule),
        "Delay": nanoseconds(own.get("delay") or f"{RESTART_DELAY}s"),
        "MaxAttempts": int(number),
    }
    if own.get("window"):
        policy["Window"] = nanoseconds(own["window"])
    return policy


def nanoseconds(text: object) -> int:
    """A duration of Compose, such as 1m30s."""
    if isinstance(text, int | float):
        return round(text * SECOND)
    return round(sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(str(text))) * SECOND)


def tmpfs_mounts(name: str, service: JSON) -> list[dict[str, Any]]:
    """The memory that its container mounts: `tmpfs`, and a larger /dev/shm. Raises RefusedError."""
    refuse(TMPFS, name, service)
    found = []
    for each in service.get("tmpfs") or ():
        target, _, words = str(each).partition(":")
        options = dict(word.partition("=")[::2] for word in words.split(",") if word)
        found.append(
            _tmpfs(target, _bytes(options.get("size")), int(options["mode"], 8) if "mode" in options else 0)
        )
    if size := int(service.get("shm_size") or 0):
        found.append(_tmpfs(SHM, size, 0o1777))
    return found


def host_ports(service: JSON) -> list[dict[str, Any]]:
    """The ports that its task opens on the node where it runs; without IPVS there are no others."""
    return [
        {
            "Protocol": each.get("protocol") or "tcp",
            "TargetPort": int(each["target"]),
            "PublishedPort": int(each["published"]),
            "PublishMode": "host",
        }
        for each in service.get("ports") or ()
        if each.get("published")
    ]


def _tmpfs(target: str, size: int, mode: int) -> dict[str, Any]:
    options = {key: value for key, value in (("SizeBytes", size), ("Mode", mode)) if value}
    return {"Type": "tmpfs", "Target": target, "TmpfsOptions": options}


def _bytes(text: str | None) -> int:
    if not text:
        return 0
    factor = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(text[-1:].lower())
    return int(text[:-1]) * factor if factor else int(text)


def _health_check(check: JSON) -> dict[str, Any]:
    if check.get("disable"):
        return {"Test": ["NONE"]}
    times = {
        "interval": "Interval",
        "timeout": "Timeout",
        "start_period": "StartPeriod",
        "start_interval": "StartInterval",
    }
    found: dict[str, Any] = {swarm: nanoseconds(check[own]) for own, swarm in times.items() if check.get(own)}
    if check.get("test"):
        found["Test"] = list(check["test"])
    if check.get("retries"):
        found["Retries"] = int(check["retries"])
    return found


def _host(entry: object) -> str:
    """`name=address` as a line of /etc/hosts."""
    name, _, address = str(entry).partition("=")
    return f"{address} {name}"


def _limit(name: str, body: Any) -> dict[str, Any]:
    soft, hard = (body.get("soft", 0), body.get("hard", 0)) if isinstance(body, Mapping) else (body, body)
    return {"Name": name, "Soft": int(soft), "Hard": int(hard)}
