"""The promise on a Swarm of three: requests come in on each node, whatever changes none is lost, and none is run twice.

A gateway runs on all three nodes, with a service of three replicas behind it, and another one beside that. Each case begins
with the same spec, and changes it under load of 300 requests a second through the ports of all nodes together.
"""

from __future__ import annotations

import os
import re
import signal
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from reconciler.api import VaultError, find_condition
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.certificates.self_signed import self_signed
from reconciler.core.desired.build import project_of
from tests.chaos.machines import AGENT_AWAY, CHANGES, NODE_DIES, MachineFault, tell
from tests.e2e.companions import Answer, Companion, WebSocket
from tests.e2e.docker_cli import docker
from tests.e2e.docker_registry import docker_registry, provided
from tests.e2e.load import CALM_SECONDS, Load, read_ledger
from tests.e2e.neighbour import Neighbour
from tests.e2e.proof import HARSH, LONG_HOLD, NEW_VERSION, QUICK, REPLICAS, harsh_stage, runs_version
from tests.e2e.stage import HOST, Stage, free_port
from tests.e2e.tls_client import served_serial
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node
from tests.swarm.ways_in import AGENT_IMAGE, FIRST_SECONDS, removed_afterwards, with_agents

pytestmark = [
    pytest.mark.docker,
    pytest.mark.turns,
    pytest.mark.timeout(420),
]

AGAIN: Final = "vault-reconciler/haproxy-swarm:again"
"""Another name for the same image, which is another image by its name."""
WHOAMI: Final = "vault-reconciler/whoami:2"
IMAGES: Final = (AGENT_IMAGE, WHOAMI, AGAIN)
BESIDE: Final = "beside.example.org"
"""The host of the other service; neither of the two names is one that would get a certificate by itself."""
MOVED: Final = "moved.example.org"
RATE: Final = 330.0
AWAY_SECONDS: Final = 30.0
TLS_RATE: Final = 30.0
HELD_SECONDS: Final = 5.0
"""For how long clients hold their connections when the new replicas serve already."""


@dataclass(frozen=True)
class Case:
    """A change of the service's spec, of its gateway's, or of the service `beside` it, and how one sees that it came true.

    `before` is what the spec says from the beginning. `ends`: what has to be so afterwards; the service is to converge, if
    nothing else is said. `host`: for which host each node answers then.
    """

    name: str
    seen: Callable[[Stage], bool]
    spec: Mapping[str, Any] = field(default_factory=dict)
    gateway: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    ends: Callable[[Stage], None] = Stage.converged
    host: str = HOST


def _is_rolled_back(stage: Stage) -> None:
    def degraded() -> bool:
        found = find_condition(stage.application.objects.status(stage.name).conditions, "Degraded")
        return found is not None and found.status == "True" and found.reason == "RolledBack"

    until("it is rolled back", degraded)
    until("only the good ones are left", lambda: _serving(stage) == REPLICAS)


def _serving(stage: Stage) -> int:
    return stage.application.objects.status(stage.name).replicas.serving


def _gateway_ready(stage: Stage) -> None:
    until("the gateway is ready", stage.gateway_ready)


def _serves(count: int) -> Callable[[Stage], bool]:
    return lambda stage: _serving(stage) == count


ONE: Final = {"replicas": 1, **LONG_HOLD}

CASES: Final = (
    Case(
        "image",
        runs_version,
        {"env": {"WHOAMI_IMAGE": "vault-reconciler/whoami:2", "VERSION": None}},
    ),
    Case("environment", runs_version, NEW_VERSION),
    Case("scale up", _serves(5), {"replicas": 5}),
    Case("scale down", _serves(1), {"replicas": 1}),
    Case("rotation", _serves(REPLICAS), {"restartedAt": "2026-01-01T00:00:00Z"}),
    Case("Recreate", runs_version, NEW_VERSION, before={**ONE, "strategy": {"type": "Recreate"}}),
    Case("single-active", runs_version, NEW_VERSION, before={"rotation": {"interval": "1h", "mode": "single-active"}}),
    Case(
        "release that does not start",
        lambda stage: runs_version(stage, "1"),
        {"env": {"VERSION": "2", "FAIL": "exit"}},
        before={"strategy": {**QUICK, "progressDeadlineSeconds": 10}},
        ends=_is_rolled_back,
    ),
    Case("health path", _serves(REPLICAS), {"healthcheck": {"path": "/"}}),
    Case("route", _serves(REPLICAS), {"route": {"hostnames": [HOST, MOVED]}}, host=MOVED),
    Case("route of another service", _serves(REPLICAS), beside={"hostnames": [MOVED]}, host=MOVED),
    Case(
        "HAProxy image",
        _serves(REPLICAS),
        gateway={"image": AGAIN},
        ends=_gateway_ready,
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """A service behind a gateway on all nodes, and a controller on the first one."""
    docker("tag", "haproxy:3.0", AGAIN)
    provided()
    swarm.load(*IMAGES)
    with with_agents(swarm):
        # One that was made a manager a moment ago cannot be made a worker yet.
        until("the Swarm is whole", swarm.is_whole)
        # One that is no manager knows an overlay only while a container is in it.
        worker = swarm.nodes[-1]
        swarm.first.docker("node", "demote", worker.name)
        with harsh_stage(routed=True, gateway={"nodeSelector": {}}) as stage:
            https = {"name": "https", "port": free_port(), "protocol": "HTTPS"}
            stage.write_gateway(listeners=[*stage.gateway_spec["listeners"], https])
            try:
                beside = project_of(_beside(stage).name)
                with removed_afterwards(swarm, stage, beside), stage.controller():
                    stage.converged(FIRST_SECONDS)
                    until("the gateway is ready", stage.gateway_ready)
                    yield stage
            finally:
                swarm.promote(worker, swarm.first)


def _beside(stage: Stage) -> Neighbour:
    return Neighbour(stage, f"{stage.name}-beside", BESIDE)


@pytest.fixture(scope="module")
def beside(stage: Stage) -> Neighbour:
    """Another service of the gateway, of one replica, with a certificate from files."""
    made = _beside(stage)
    write_certificate(stage)
    environment = {"BOOT_SECONDS": "0", "WHOAMI_LEDGER_DIR": str(stage.ledger)}
    made.spec = {"replicas": 1, "env": environment, "route": _route(stage)}
    made.write()
    until("it serves", made.ready)
    return made


def _route(stage: Stage, **changes: Any) -> dict[str, Any]:
    """The route of the service beside."""
    files = {"chain": "chain.pem", "key": "key.pem"}
    plain = {"hostnames": [BESIDE], "gateway": stage.gateway, "tls": {"files": files, "redirect": False}}
    return plain | changes


def write_certificate(stage: Stage) -> str:
    """Write another certificate for the service beside; returns its serial number."""
    made = self_signed([BESIDE, MOVED], datetime.now(UTC))
    for name, text in (("key", made.key), ("chain", made.chain)):
        path = stage.manifests / f"{name}.pem"
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").chmod(0o600)
        path.with_suffix(".new").replace(path)
    return made.certificate.serial


def as_at_first(stage: Stage, **spec: Any) -> None:
    """Every case begins with the same spec, but for this."""
    environment = HARSH | {"WHOAMI_LEDGER_DIR": str(stage.ledger)}
    stage.spec = {"plugin": "whoami", "replicas": REPLICAS, "strategy": QUICK, "env": environment}
    stage.write(**spec)
    stage.write_gateway(image="haproxy:3.0")
    stage.converged()
    until("the gateway is ready", stage.gateway_ready)


def under_load(stage: Stage, nodes: tuple[Node, ...]) -> Load:
    """Load through the ports of these nodes."""
    return Load(stage.port, RATE, addresses=tuple(node.address for node in nodes))


@contextmanager
def losing_nothing(stage: Stage, swarm: Laboratory, change: MachineFault) -> Iterator[Load]:
    """Load through all nodes, of which nothing is lost and nothing run twice while the block makes this change."""
    with under_load(stage, swarm.nodes) as load:
        began = time.monotonic()
        yield load
        done = time.monotonic()
    try:
        tell(change, load, stage, harm=began, healed=done)
        assert not load.faults(read_ledger(stage.ledger))
    except AssertionError as error:
        told = "\n".join(_told_by_haproxy(stage, node) for node in swarm.nodes)
        raise AssertionError(f"{error}\n{told}") from None


def _told_by_haproxy(stage: Stage, node: Node) -> str:
    """The last requests that HAProxies of a node call failed."""
    ids = node.docker("ps", "--quiet", "--filter", f"name={stage.front_project}-haproxy").split()
    return f"{node.name}:\n" + "\n".join(node.docker("logs", "--tail", "40", each) for each in ids)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name.replace(" ", "-")) for case in CASES])
def test_a_change_under_load_through_all_nodes(
    case: Case, swarm: Laboratory, stage: Stage, beside: Neighbour
) -> None:
    as_at_first(stage, **case.before)
    with losing_nothing(stage, swarm, CHANGES[case.name]):
        if case.spec:
            stage.write(**case.spec)
        if case.gateway:
            stage.write_gateway(**case.gateway)
        if case.beside:
            beside.write(route=_route(stage, **case.beside))
            until("it serves", beside.ready)
        case.ends(stage)
        until("the gateway is ready", stage.gateway_ready)
    assert case.seen(stage)
    # Each node serves.
    assert all(_answers(stage, node, case.host) for node in swarm.nodes)
    beside.write(route=_route(stage))
    until("it serves", beside.ready)


def test_a_way_in_that_was_removed_comes_back(swarm: Laboratory, stage: Stage, beside: Neighbour) -> None:
    """On a node that is no manager, whose engine knows none of the networks by then that no container there is in."""
    as_at_first(stage)
    node = swarm.nodes[-1]
    node.docker(
        "rm",
        "--force",
        *node.docker("ps", "--all", "--quiet", "--filter", f"name={stage.front_project}").split(),
    )
    until("it serves both", lambda: all(_answers(stage, node, host) for host in (HOST, BESIDE)))
    until("the gateway is ready", stage.gateway_ready)
    assert beside.ready()


def _answers(stage: Stage, node: Node, host: str) -> bool:
    with Load(stage.port, 20.0, hosts=(host,), addresses=(node.address,)) as load:
        pass
    return bool(load.shots) and not load.lost


def test_a_certificate_changes_on_each_node(swarm: Laboratory, stage: Stage, beside: Neighbour) -> None:
    """Clients with TLS and those without lose nothing, and meet the new certificate wherever they come in."""
    as_at_first(stage)
    https = next(each["port"] for each in stage.gateway_spec["listeners"] if each["protocol"] == "HTTPS")
    context = ssl.create_default_context()
    # Each certificate is the only one of its authority. Whether it is the right one is looked at by its number.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    addresses = tuple(node.address for node in swarm.nodes)
    encrypted = Load(https, TLS_RATE, hosts=(BESIDE,), addresses=addresses, tls=context)
    with losing_nothing(stage, swarm, CHANGES["certificate"]), encrypted:
        for _ in range(2):
            serial = write_certificate(stage)
            for address in addresses:
                until(
                    f"{address} serves it",
                    lambda: serial in served_serial(BESIDE, https, address),  # noqa: B023
                )
    assert not encrypted.faults(read_ledger(stage.ledger))
    assert stage.vaultctl("certificate", "list").stdout.count(BESIDE) == 1


def test_what_takes_long_keeps_its_replica_on_each_node(swarm: Laboratory, stage: Stage) -> None:
    """A WebSocket and a slow answer through each node, in a rollout that has to wait for them."""
    as_at_first(stage, strategy={**QUICK, "drainSeconds": 120})
    with losing_nothing(stage, swarm, CHANGES["release with long requests"]):
        sockets = [WebSocket(HOST, stage.port, node.address) for node in swarm.nodes]
        answers = [Answer(HOST, stage.port, node.address, seconds=30) for node in swarm.nodes]
        held: list[Companion] = [*sockets, *answers]
        until("all have begun", lambda: all(each.count for each in held))
        stage.write(**NEW_VERSION)
        until("the new version answers", lambda: all(runs_version(stage) for _ in range(10)))
        echoes = [each.count for each in sockets]
        time.sleep(HELD_SECONDS)
        assert not [each.cut for each in held if each.cut], stage.story()
        assert all(now.count > before for now, before in zip(sockets, echoes, strict=True))
        cut = [each.end(60.0) for each in held]
        stage.converged()
    assert not any(cut), cut
    assert all(each.count == 1 + 10 * each.seconds for each in answers)
    assert runs_version(stage)


@pytest.fixture(scope="module")
def images(
    swarm: Laboratory, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """What a registry has that each node reaches, and `none`, which it has not got."""
    with docker_registry(tmp_path_factory.mktemp("registry"), address=swarm.first.address) as registry:
        made = {
            tag: registry.push(WHOAMI, "swarm/app", tag, *changes)
            for tag, changes in (("good", ("LABEL pulled=yes",)), ("bad", ('ENTRYPOINT ["false"]',)))
        }
        yield made | {"none": f"{registry.host}/swarm/app:none"}


def _is_pulled(stage: Stage) -> None:
    stage.converged()
    assert runs_version(stage)


@pytest.mark.parametrize(
    ("tag", "change", "ends"),
    [
        ("good", "image of a registry", _is_pulled),
        ("bad", "image of a registry that does not start", _is_rolled_back),
        ("none", "image that the registry does not have", _is_rolled_back),
    ],
    ids=("good", "bad", "none"),
)
def test_images_of_a_registry(
    tag: str,
    change: str,
    ends: Callable[[Stage], None],
    swarm: Laboratory,
    stage: Stage,
    images: Mapping[str, str],
) -> None:
    as_at_first(stage, strategy={**QUICK, "progressDeadlineSeconds": 30})
    with losing_nothing(stage, swarm, CHANGES[change]):
        stage.write(env={"WHOAMI_IMAGE": images[tag], "VERSION": "2"})
        ends(stage)


def _here(stage: Stage, node: Node) -> list[str]:
    """The replicas on a node."""
    seen = stage.preview().assessment.observed.containers
    return [each.name for each in seen if each.port and each.node == node.name]


def test_a_way_in_is_drained_under_load(swarm: Laboratory, stage: Stage) -> None:
    """Its instances leave. HAProxy stays and is told of the next release, and no request is lost through it."""
    as_at_first(stage)
    node = swarm.nodes[1]
    try:
        with losing_nothing(stage, swarm, CHANGES["drain of a way in, and a release"]):
            told = stage.vaultctl("drain", node.name, "--timeout", "150s").stderr
            assert not _here(stage, node)
            stage.write(**NEW_VERSION)
            stage.converged()
        assert f"{node.name} has no instances left; HAProxy serves on there" in told
        assert runs_version(stage)
        assert stage.gateway_ready()
        assert not _here(stage, node)
        stage.vaultctl("drain", node.name, "--stop-pinned", code=1)
    finally:
        stage.vaultctl("uncordon", node.name)


def test_an_agent_that_is_away_for_a_while_in_a_rollout(swarm: Laboratory, stage: Stage) -> None:
    """Its HAProxy serves on with what it has, and no replica that it may send requests to is stopped."""
    as_at_first(stage, strategy={**QUICK, "drainSeconds": 120})
    away = swarm.nodes[-1]
    (agent,) = away.docker("ps", "--quiet", "--filter", "name=vault-agents").split()
    pid = int(away.docker("inspect", "--format", "{{.State.Pid}}", agent))
    with under_load(stage, swarm.nodes) as load:
        os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            stage.write(**NEW_VERSION)
            until("the gateway tells of it", lambda: "NodeAway" in degraded(stage))
            time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - stopped)))
        finally:
            os.kill(pid, signal.SIGCONT)
        over = time.monotonic()
        stage.converged()
        healed = time.monotonic()
    assert runs_version(stage)
    until("all is well again", lambda: "NodeAway" not in degraded(stage))
    told = stage.vaultctl("events", "gateway", stage.gateway).stdout
    assert re.search(rf"NodeAway +node {away.name}: (its|the) agent", told), told
    tell(AGENT_AWAY, load, stage, harm=stopped, over=over, healed=healed)


def degraded(stage: Stage) -> str:
    """The reason of the gateway's condition `Degraded`, if that is true."""
    status = stage.application.objects.of(VAULT_GATEWAY).status(stage.gateway)
    found = find_condition(status.conditions, "Degraded")
    return found.reason if found and found.status == "True" else ""


def test_a_node_that_dies_under_load(swarm: Laboratory, stage: Stage) -> None:
    """What it was serving may be lost, and what comes until health checks have found out."""
    as_at_first(stage)
    load, killed, back = killed_under_load(swarm.nodes[-1], swarm, stage)
    until("the node is back", lambda: "NodeAway" not in degraded(stage), FIRST_SECONDS)
    tell(NODE_DIES, load, stage, harm=killed, healed=back)


def killed_under_load(dead: Node, swarm: Laboratory, stage: Stage) -> tuple[Load, float, float]:
    """Kill a node under load through the others, and start it when the pool is full without it. Returns the load, and when
    the node was killed and the pool full.
    """
    with under_load(stage, tuple(node for node in swarm.nodes if node is not dead)) as load:
        killed = time.monotonic()
        dead.kill()
        until("the full pool is back", lambda: pool_without(stage, dead))
        back = time.monotonic()
        time.sleep(CALM_SECONDS)
    dead.start()
    return load, killed, back


def pool_without(stage: Stage, dead: Node) -> bool:
    """Whether all replicas serve, and none of them on this node. A Swarm without a leader does not say."""
    try:
        seen = stage.preview().assessment.observed.containers
    except VaultError:
        return False
    elsewhere = sum(each.node != dead.name and each.is_ready for each in seen if each.port)
    return _serving(stage) == REPLICAS and elsewhere >= REPLICAS
