"""Containers become Pods: what kubectl's users look at is there, and nothing that may hold a secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.cluster.pods import pod_document, pod_metrics
from reconciler.core.assess.observation import Health, State
from reconciler.engines.instances import Instance, Usage
from tests.web.kube.instances import BORN, instance

FILES = Ref(VAULT_SERVICE, "files")


def pod(one: Instance, **others: Any) -> dict[str, Any]:
    return pod_document(one, FILES, "u1", "here", **others)


@pytest.mark.parametrize(
    ("changes", "phase", "state", "reason", "ready"),
    [
        ({}, "Running", "running", None, True),
        ({"health": Health.NONE}, "Running", "running", None, True),
        ({"health": Health.STARTING}, "Running", "running", None, False),
        ({"health": Health.UNHEALTHY}, "Running", "running", None, False),
        ({"state": State.CREATED, "started": None}, "Pending", "waiting", "ContainerCreating", False),
        ({"state": State.RESTARTING, "exit_code": 1}, "Running", "waiting", "CrashLoopBackOff", False),
        ({"state": State.PAUSED}, "Running", "running", None, False),
        ({"state": State.EXITED}, "Succeeded", "terminated", "Completed", False),
        ({"state": State.EXITED, "exit_code": 3}, "Failed", "terminated", "Error", False),
        ({"state": State.EXITED, "exit_code": 137, "out_of_memory": True}, "Failed", "terminated", "OOMKilled", False),
        ({"state": State.DEAD, "exit_code": 1}, "Failed", "terminated", "Error", False),
        ({"state": State.REMOVING}, "Running", "running", None, False),
    ],
)  # fmt: skip
def test_phase_and_state(
    changes: dict[str, Any], phase: str, state: str, reason: str | None, ready: bool
) -> None:
    status = pod(instance(**changes))["status"]
    (container,) = status["containerStatuses"]
    assert status["phase"] == phase
    assert list(container["state"]) == [state]
    assert container["state"][state].get("reason") == reason
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert container["ready"] is ready
    assert conditions["Ready"] == conditions["ContainersReady"] == str(ready)


def test_it_is_owned_by_its_object_and_selected_by_labels() -> None:
    metadata = pod(instance())["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "VaultService",
        "files",
        "u1",
        True,
    )
    assert metadata["labels"]["vault.internal/workload"] == "web"
    assert metadata["labels"]["vault.internal/role"] == "web"


def test_its_uid_is_another_one_for_another_container_of_that_name() -> None:
    first, second = (pod(instance(id=digit * 64))["metadata"]["uid"] for digit in "ab")
    assert first != second
    assert len(first) == 36


def test_what_the_engine_says_is_shown_without_secrets() -> None:
    one = instance(state=State.EXITED, exit_code=127, problem="exec: hunter2: not found")
    text = json.dumps(pod(one, hide=lambda said: said.replace("hunter2", "***")))
    assert "hunter2" not in text
    assert "exec: ***" in text


def test_one_that_is_to_be_replaced_is_terminating() -> None:
    metadata = pod(instance(), evicted=BORN)["metadata"]
    assert metadata["deletionTimestamp"] == "2026-05-01T12:00:00Z"


def test_limits_and_ports() -> None:
    spec = pod(instance(cpus=0.5, memory=1024, ports=(80, 443)))["spec"]
    (container,) = spec["containers"]
    assert container["resources"]["limits"] == {"cpu": "500000000n", "memory": "1024"}
    assert [each["containerPort"] for each in container["ports"]] == [80, 443]


def test_a_rate_is_made_of_two_measurements() -> None:
    before = Usage(1.0, 0, BORN)
    after = Usage(1.5, 10 << 20, BORN + timedelta(seconds=2))
    (container,) = pod_metrics(instance(), FILES, before, after)["containers"]
    assert container["usage"] == {"cpu": "250000000n", "memory": "10240Ki"}
    # A container that was started again counts from zero.
    (container,) = pod_metrics(instance(), FILES, after, replace(before, at=after.at))["containers"]
    assert container["usage"]["cpu"] == "0n"
