"""Services of a Compose file as tasks of a Swarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.spec import (
    host_ports,
    nanoseconds,
    resources,
    restart_policy,
    task_template,
    tmpfs_mounts,
)

SECOND = 1_000_000_000


def _template(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return task_template(
        "web", service, image="shop@sha256:1", mounts=[], files={}, networks=[], constraints=["node.id==n1"]
    )


def test_fields_get_the_names_that_swarm_has_for_them() -> None:
    spec = _template(
        {
            "image": "shop:1",
            "entrypoint": ["sh"],
            "command": ["-c", "true"],
            "environment": {"A": "1", "B": None, "C": ""},
            "user": "10:10",
            "working_dir": "/srv",
            "init": True,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "stop_signal": "SIGINT",
            "stop_grace_period": "1m20s",
            "extra_hosts": ["db=10.1.1.1"],
            "dns": ["10.0.0.2"],
            "ulimits": {"nofile": {"soft": 1, "hard": 2}, "core": 3},
            "healthcheck": {
                "test": ["CMD", "true"],
                "interval": "1m30s",
                "start_interval": "500ms",
                "retries": 3,
            },
            "labels": {"internal.vault.role": "web"},
        }
    )["ContainerSpec"]
    assert spec == {
        "Image": "shop@sha256:1",
        "Mounts": [],
        "Command": ["sh"],
        "Args": ["-c", "true"],
        "Env": ["A=1", "B", "C="],
        "User": "10:10",
        "Dir": "/srv",
        "Init": True,
        "ReadOnly": True,
        "CapabilityDrop": ["ALL"],
        "Privileges": {"NoNewPrivileges": True},
        "StopSignal": "SIGINT",
        "StopGracePeriod": 80 * SECOND,
        "Hosts": ["10.1.1.1 db"],
        "DNSConfig": {"Nameservers": ["10.0.0.2"]},
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}, {"Name": "core", "Soft": 3, "Hard": 3}],
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 90 * SECOND,
            "StartInterval": SECOND // 2,
            "Retries": 3,
        },
        "Labels": {"internal.vault.role": "web"},
    }


def test_a_health_check_that_is_turned_off_is_none() -> None:
    spec = _template({"image": "shop:1", "healthcheck": {"disable": True, "test": ["CMD", "true"]}})
    assert spec["ContainerSpec"]["Healthcheck"] == {"Test": ["NONE"]}


def test_placement_is_what_the_definition_says_and_the_node_of_volumes() -> None:
    deploy = {
        "placement": {"constraints": ["node.role==worker"], "preferences": [{"spread": "node.labels.zone"}]}
    }
    template = _template({"image": "shop:1", "deploy": deploy, "platform": "linux/arm64/v8"})
    assert template["Placement"] == {
        "Constraints": ["node.role==worker", "node.id==n1"],
        "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
        "Platforms": [{"OS": "linux", "Architecture": "arm64"}],
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("privileged", True),
        ("devices", ["/dev/x"]),
        ("network_mode", "host"),
        ("pid", "host"),
        ("ipc", "host"),
    ],
)
def test_what_swarm_has_nothing_for_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(RefusedError, match=rf"^services\.web\.{field}: "):
        _template({"image": "shop:1", field: value})


def test_what_says_nothing_is_not_refused() -> None:
    _template({"image": "shop:1", "privileged": False, "devices": [], "ipc": "shareable", "x-note": "1"})


@pytest.mark.parametrize("option", ["seccomp:unconfined", "apparmor=x", "no-new-privileges:false"])
def test_other_options_of_security_are_refused(option: str) -> None:
    with pytest.raises(RefusedError, match=r"services\.web\.security_opt"):
        _template({"image": "shop:1", "security_opt": [option]})


def test_limits_are_those_of_deploy_or_those_beside_it() -> None:
    deploy = {
        "resources": {"limits": {"cpus": 0.5, "memory": "1024", "pids": 3}, "reservations": {"memory": "512"}}
    }
    expected = {
        "Limits": {"NanoCPUs": SECOND // 2, "MemoryBytes": 1024, "Pids": 3},
        "Reservations": {"MemoryBytes": 512},
    }
    assert resources({"deploy": deploy}) == expected
    assert (
        resources({"cpus": 0.5, "mem_limit": "1024", "mem_reservation": "512", "pids_limit": 3}) == expected
    )
    assert resources({"pids_limit": -1}) == {"Limits": {}, "Reservations": {}}


@pytest.mark.parametrize(
    ("service", "condition", "attempts", "delay"),
    [
        ({}, "none", 0, 1.0),
        ({"restart": "no"}, "none", 0, 1.0),
        ({"restart": "unless-stopped"}, "any", 0, 1.0),
        ({"restart": "on-failure:3"}, "on-failure", 3, 1.0),
        (
            {"restart": "always", "deploy": {"restart_policy": {"condition": "none", "delay": "5s"}}},
            "none",
            0,
            5.0,
        ),
        ({"restart": "no", "deploy": {"restart_policy": {"max_attempts": 2}}}, "any", 2, 1.0),
    ],
)
def test_swarm_starts_again_what_compose_would(
    service: Mapping[str, Any], condition: str, attempts: int, delay: float
) -> None:
    expected = {"Condition": condition, "MaxAttempts": attempts, "Delay": round(delay * SECOND)}
    assert restart_policy(service) == expected


def test_memory_is_mounted() -> None:
    assert tmpfs_mounts("web", {"tmpfs": ["/x:size=10m,mode=700", "/y"], "shm_size": "65536"}) == [
        {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 10 * 1024**2, "Mode": 0o700}},
        {"Type": "tmpfs", "Target": "/y", "TmpfsOptions": {}},
        {"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": 65536, "Mode": 0o1777}},
    ]
    with pytest.raises(RefusedError, match=r"services\.web\.tmpfs: .*'noexec'"):
        tmpfs_mounts("web", {"tmpfs": ["/x:noexec"]})


def test_ports_are_opened_on_the_node_itself() -> None:
    ports = [{"target": 53, "published": "5353", "protocol": "udp"}, {"target": 80}]
    assert host_ports({"ports": ports}) == [
        {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "host"}
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m20s", 80.0), ("500ms", 0.5), ("1h", 3600.0), (2, 2.0), ("0s", 0.0)]
)
def test_durations(text: object, seconds: float) -> None:
    assert nanoseconds(text) == round(seconds * SECOND)
