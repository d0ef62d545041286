"""A sidecar in another service's network namespace: it needs that service, follows it, and never one of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import (
    Container,
    EngineObservation,
    Health,
    Observation,
    ProxyObservation,
    State,
)
from reconciler.core.compose.fragment import BuildError
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.core.plan.operations import RecreateContainer
from reconciler.core.plan.planner import plan
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins import VaultServicePlugin

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Tunnel(VaultServicePlugin):
    """A web service, a VPN, and a sidecar in the namespace that `OWNER` names; with WEB the web service is there, too."""

    metadata = VaultServicePlugin.Metadata(name="Tunnel", slug="tunnel", default_port=8000)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        shared = {env.get("KEY", "network_mode"): f"service:{env.get('OWNER', 'vpn')}"}
        return {
            "services": {
                "web": {"image": "web:1", **({env["WEB"]: "service:vpn"} if "WEB" in env else {})},
                "vpn": {"image": "vpn:1"},
                "sidecar": {"image": "sidecar:1", **shared},
            }
        }

    def get_containers(self) -> Iterable[str]:
        return ("web",)


def stack(replicas: int = 1, **env: str) -> Stack:
    spec = {"plugin": "tunnel", "replicas": replicas, "ports": {"http": 8080}, "env": env}
    service = VaultService.model_validate({"metadata": {"name": "files"}, "spec": spec})
    return build(service, Tunnel(), Site(Path("/state/services/files"), 99, 99), front=FRONT)


@pytest.mark.parametrize("key", ["network_mode", "pid", "ipc"])
def test_the_owner_is_needed(key: str) -> None:
    (sidecar,) = (w for w in stack(KEY=key).workloads if w.name == "sidecar")
    assert sidecar.needs == ("vpn",)


@pytest.mark.parametrize("key", ["network_mode", "pid", "ipc"])
def test_a_namespace_of_several_replicas_is_refused(key: str) -> None:
    with pytest.raises(BuildError, match=rf"services\.sidecar\.{key}: 'web' has 2 replicas"):
        stack(2, KEY=key, OWNER="web")
    stack(1, KEY=key, OWNER="web")


def _container(
    wanted: Stack,
    name: str,
    id: str,
    started: float,
    joined: str | None = None,
    shared: tuple[str, ...] | None = None,
) -> Container:
    (workload,) = (w for w in wanted.workloads if w.name == name)
    return Container(
        id=id.ljust(64, "0"),
        name=f"{name}-1",
        workload=name,
        role=Role.DEPENDENCY,
        revision=workload.revision,
        state=State.RUNNING,
        health=Health.NONE,
        created=NOW - timedelta(seconds=900),
        started=NOW - timedelta(seconds=started),
        addresses=dict.fromkeys(workload.networks, "10.0.0.9"),
        joined=joined.ljust(64, "0") if joined else None,
        shared=tuple(each.ljust(64, "0") for each in shared) if shared is not None else None,
    )


def _recreated(*containers: Container, wanted: Stack | None = None) -> list[str]:
    seen = Observation(EngineObservation(containers), ProxyObservation("now", "now", {}))
    assessment: Assessment = assess(wanted or stack(), seen, NOW)
    return [
        o.workload for o in plan(assessment, History(), FRONT).operations if isinstance(o, RecreateContainer)
    ]


def test_a_sidecar_in_the_namespace_of_its_owner_is_left_alone() -> None:
    owner, sidecar = _container(stack(), "vpn", "a", 60), _container(stack(), "sidecar", "b", 50, "a")
    assert _recreated(owner, sidecar) == []


def test_a_sidecar_follows_an_owner_that_was_replaced() -> None:
    owner, sidecar = _container(stack(), "vpn", "c", 10), _container(stack(), "sidecar", "b", 50, "a")
    assert _recreated(owner, sidecar) == ["sidecar"]


def test_a_sidecar_that_cannot_start_without_its_former_owner_follows_too() -> None:
    owner, sidecar = _container(stack(), "vpn", "c", 10), _container(stack(), "sidecar", "b", 50, "a")
    assert _recreated(owner, replace(sidecar, state=State.EXITED, exit_code=128)) == ["sidecar"]


def test_a_sidecar_follows_an_owner_that_was_restarted() -> None:
    owner, sidecar = _container(stack(), "vpn", "a", 10), _container(stack(), "sidecar", "b", 50, "a")
    assert _recreated(owner, sidecar) == ["sidecar"]


def test_without_an_owner_the_sidecar_waits() -> None:
    assert _recreated(_container(stack(), "sidecar", "b", 50, "a")) == []


@pytest.mark.parametrize("key", ["pid", "ipc"])
@pytest.mark.parametrize(
    ("owner", "shared", "recreated"),
    [
        (("a", 60), ("a",), []),
        # Replaced: the container of before is no more.
        (("c", 60), ("a",), ["sidecar"]),
        # Restarted: the namespace is a new one, and the sidecar is in that of before.
        (("a", 10), ("a",), ["sidecar"]),
        # Not inspected, or created before it shared anything: nothing is known.
        (("c", 10), None, []),
        (("c", 10), (), []),
    ],
)
def test_who_shares_pid_or_ipc_follows_the_owner_too(
    key: str, owner: tuple[str, float], shared: tuple[str, ...] | None, recreated: list[str]
) -> None:
    wanted = stack(KEY=key)
    sidecar = _container(wanted, "sidecar", "b", 50, shared=shared)
    assert _recreated(_container(wanted, "vpn", *owner), sidecar, wanted=wanted) == recreated
    # Its process ends with that of a PID namespace's first, and it cannot start where its owner is not.
    gone = replace(sidecar, state=State.EXITED, exit_code=137, started=None)
    was_replaced = bool(shared) and owner[0] not in (shared or ())
    found = _recreated(_container(wanted, "vpn", *owner), gone, wanted=wanted)
    assert found == (["sidecar"] if was_replaced else [])


def test_each_owner_of_a_namespace_is_followed() -> None:
    wanted = stack()
    workloads = tuple(
        replace(w, joins="", shares=frozenset({"vpn", "web"})) if w.name == "sidecar" else w
        for w in wanted.workloads
    )
    wanted = replace(wanted, workloads=workloads)
    vpn, web = _container(wanted, "vpn", "a", 60), replace(_container(wanted, "web", "d", 60), role=Role.WEB)
    for shared, recreated in ((("a", "d"), []), (("a", "e"), ["sidecar"]), (("e", "d"), ["sidecar"])):
        sidecar = _container(wanted, "sidecar", "b", 50, shared=shared)
        assert _recreated(vpn, web, sidecar, wanted=wanted) == recreated


def _planned(*containers: Container, wanted: Stack) -> list[str]:
    seen = Observation(EngineObservation(containers), ProxyObservation("now", "now", {}))
    operations = plan(assess(wanted, seen, NOW), History(), FRONT).operations
    return [o.sentence for o in operations if "web" in o.sentence]


@pytest.mark.parametrize("key", ["pid", "ipc"])
@pytest.mark.parametrize(
    ("state", "shared", "planned"),
    [
        (State.RUNNING, ("a",), []),
        # It answers as before, so the next one comes first.
        (State.RUNNING, ("z",), ["create 1 × web"]),
        # It was created for an owner that was replaced before it was started.
        (State.CREATED, ("z",), ["remove web-1", "create 1 × web"]),
    ],
)
def test_a_replica_follows_the_owner_of_its_namespace(
    key: str, state: State, shared: tuple[str, ...], planned: list[str]
) -> None:
    wanted = stack(WEB=key)
    web = replace(
        _container(wanted, "web", "d", 50, shared=shared),
        role=Role.WEB,
        state=state,
        started=NOW - timedelta(seconds=50) if state is State.RUNNING else None,
    )
    found = _planned(_container(wanted, "vpn", "a", 60), web, wanted=wanted)
    assert found == planned


def test_a_replica_is_not_created_before_the_owner_of_its_namespace() -> None:
    assert "create 1 × web" in _planned(wanted=stack())
    assert _planned(wanted=stack(WEB="ipc")) == []


def test_an_owner_that_seems_to_start_in_the_future_is_believed_to_be_older() -> None:
    """The clock was set back by an hour: what is created now would seem to be older than its owner for that hour."""
    owner, sidecar = _container(stack(), "vpn", "a", -3600), _container(stack(), "sidecar", "b", 50, "a")
    assert _recreated(owner, sidecar) == []


@pytest.mark.parametrize(
    ("created", "started"),
    [
        # Created before the clock was set back, and started after it.
        (55, 100),
        # Created and started after it: its definition names an owner that was created later, as it seems.
        (901, 900),
    ],
)
def test_a_sidecar_that_was_started_after_the_clock_was_set_back_is_left_alone(
    created: int, started: int
) -> None:
    owner = _container(stack(), "vpn", "a", 60)
    sidecar = _container(stack(), "sidecar", "b", started, "a")
    since = NOW - timedelta(seconds=created)
    assert _recreated(owner, sidecar) == ["sidecar"]
    assert _recreated(owner, replace(sidecar, created=since)) == []


def test_a_job_that_is_complete_is_not_detached_from_an_owner_that_was_replaced() -> None:
    wanted = stack(KEY="pid")
    workloads = tuple(
        replace(w, role=Role.JOB, one_shot=True) if w.name == "sidecar" else w for w in wanted.workloads
    )
    wanted = replace(wanted, workloads=workloads)
    job = replace(
        _container(wanted, "sidecar", "b", 50, shared=("a",)), role=Role.JOB, state=State.EXITED, exit_code=0
    )
    assert _recreated(_container(wanted, "vpn", "c", 10), job, wanted=wanted) == []


def test_a_sidecar_that_was_stopped_follows_an_owner_that_was_replaced_meanwhile() -> None:
    """The owner was removed while the service was stopped: no start would find it."""
    stopped = replace(
        _container(stack(), "sidecar", "b", 50, "a"), state=State.EXITED, exit_code=0, stopping=True
    )
    assert _recreated(_container(stack(), "vpn", "c", 10), stopped) == ["sidecar"]


def test_a_sidecar_that_was_stopped_with_its_owner_is_only_started() -> None:
    """A start gives it the namespace that its owner has then."""
    stopped = replace(
        _container(stack(), "sidecar", "b", 50, "a"), state=State.EXITED, exit_code=0, stopping=True
    )
    assert _recreated(_container(stack(), "vpn", "a", 10), stopped) == []


def test_a_job_that_cannot_start_without_its_former_owner_is_created_again() -> None:
    wanted = stack()
    workloads = tuple(
        replace(w, role=Role.JOB, one_shot=True) if w.name == "sidecar" else w for w in wanted.workloads
    )
    wanted = replace(wanted, workloads=workloads)
    job = replace(_container(wanted, "sidecar", "b", 50, "a"), role=Role.JOB, state=State.CREATED)
    seen = Observation(
        EngineObservation((_container(wanted, "vpn", "c", 10), job)), ProxyObservation("now", "now", {})
    )
    told = [str(o.sentence) for o in plan(assess(wanted, seen, NOW), History(), FRONT).operations]
    assert "remove sidecar-1" in told
