"""A controller that is killed at any operation of a gateway leaves something that the next one goes on from."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest

from reconciler.core.plan import gateway_operations
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.directory import read_gateway, read_slots
from tests.e2e.docker_cli import containers
from tests.e2e.gateway_stage import GatewayStage, Requests, another_image, gateway_stage
from tests.e2e.stage import free_ports
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


CHANGES: Mapping[str, Callable[[GatewayStage, str], None]] = {
    "WriteRoutes": lambda stage, tag: stage.serve("other", path=f"/{tag}"),
    "ChangeRoutes": lambda stage, tag: stage.serve("other", path=f"/{tag}"),
    "ConfigureGateway": lambda stage, tag: stage.write(maxHeaderKiB=32 + len(tag)),
    "ReloadProxy": lambda stage, tag: stage.write(maxHeaderKiB=64 + len(tag)),
    "NameSlots": lambda stage, tag: stage.write(image=another_image(stage, tag)),
    "CreateProxy": lambda stage, tag: stage.write(image=another_image(stage, tag)),
    "StartContainer": lambda stage, tag: stage.write(image=another_image(stage, tag)),
    "StopContainer": lambda stage, tag: stage.write(image=another_image(stage, tag)),
    "RemoveContainer": lambda stage, tag: stage.write(image=another_image(stage, tag)),
    # A host of its own needs a certificate of its own.
    "WriteCertificates": lambda stage, tag: stage.serve("other", hostnames=[f"{tag}.test"]),
    "ChangeCertificates": lambda stage, tag: stage.serve("other", hostnames=[f"{tag}.test"]),
    # Its route needs no pool any more.
    "DrainPool": lambda stage, tag: stage.serve("leaving", redirect={"hostname": f"{tag}.test"}),
    "EmptyPool": lambda stage, tag: stage.serve("leaving", redirect={"hostname": f"{tag}.test"}),
    "DisconnectNetwork": lambda stage, tag: stage.serve("leaving", redirect={"hostname": f"{tag}.test"}),
}
"""What leads to each operation of a gateway, made new by a tag."""


ON_SEVERAL_NODES = {"OnNode", "DeployAgent", "ChangeReadiness"}
"""One of the others on another node, what tests/swarm/test_agent_crash.py tries, and what only happens on a node that is
left.
"""


LEAVING = ("DrainPool", "EmptyPool", "DisconnectNetwork")
"""Operations for a service that had replicas behind the gateway."""


@pytest.fixture(scope="module")
def stage() -> Iterator[GatewayStage]:
    """A gateway with a service that is asked all the time, and another one."""
    with gateway_stage("published") as made:
        (https,) = free_ports(1)
        made.write(
            listeners=[
                {"name": "http", "port": made.port, "protocol": "HTTP", "address": "127.0.0.1"},
                {"name": "https", "port": https, "protocol": "HTTPS", "address": "127.0.0.1"},
            ]
        )
        for service in ("one", "other"):
            made.serve(service)
        with made.controller():
            until("ready", made.ready)
            made.start("one")
            until("it is served", lambda: made.serves("one"))
        yield made


def as_it_should_be(stage: GatewayStage) -> bool:
    """Ready, without a HAProxy, a pool, a slot or a file too many."""
    running = containers(project_of(stage.name), "haproxy", everything=True)
    hidden = [path for path in stage.site.config.rglob(".*") if path.is_file()]
    written = read_gateway(stage.site)
    return bool(
        stage.ready()
        and len(running) == len(read_slots(stage.site)) == 1
        and not hidden
        and written.busy <= set(written.held.values())
    )


@pytest.mark.parametrize("kind", CHANGES)
def test_a_controller_that_is_killed_after_it_loses_no_request(stage: GatewayStage, kind: str) -> None:
    """After it is the worse side: the world has changed, and nothing was told."""
    if kind in LEAVING:
        with stage.controller():
            stage.serve("leaving")
            stage.start("leaving")
            until("it is served", lambda: stage.serves("leaving"))
            until("ready", stage.ready)
    with Requests(stage, "one", clients=2) as load:
        with stage.controller((sys.executable, "-m", "tests.e2e.mortal", "after", kind)) as mortal:
            CHANGES[kind](stage, kind.lower())
            until("killed", lambda: mortal.poll() == -signal.SIGKILL)
        with stage.controller():
            until("all is well", lambda: as_it_should_be(stage))
    assert set(load.answers) == {(200, "one")}, stage.story()
    if kind in LEAVING:
        stage.remove_replica("leaving")


def test_every_operation_of_a_gateway_is_tried() -> None:
    assert set(gateway_operations.__all__) - ON_SEVERAL_NODES <= set(CHANGES)
