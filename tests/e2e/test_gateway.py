"""A VaultGateway on a real engine: routes come and go without a reload, and HAProxy is replaced by hand-over."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from reconciler.proxy.haproxy.gateway.containers import project_of
from tests.e2e.docker_cli import containers, docker
from tests.e2e.gateway_stage import GatewayStage, Requests, another_image, gateway_stage
from tests.e2e.stage import free_ports
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]


@pytest.fixture(params=["published", "host"])
def stage(request: pytest.FixtureRequest) -> Iterator[GatewayStage]:
    with gateway_stage(request.param) as made:
        yield made


def test_a_gateway_lives(stage: GatewayStage) -> None:
    with stage.controller():
        until("ready", stage.ready)
        before, ids = stage.workers(), containers(project_of(stage.name))
        for service in ("one", "two"):
            stage.serve(service)
            stage.start(service)
            until(f"{service} is served", lambda: stage.serves(service))  # noqa: B023
        assert stage.get("three")[0] == 404
        until("two routes", lambda: stage.routes() == 2)

        # A route that changes, and a service that goes.
        stage.serve("two", path="/only-here")
        until("the path is another one", lambda: stage.get("two")[0] == 404)
        stage.drop("two")
        until("its pool is spare", lambda: stage.pools().keys() == {f"{stage.name}-one"})
        assert stage.get("one") == (200, "one")
        assert stage.workers() == before
    # Another controller finds everything as it should be.
    with stage.controller():
        until("ready", stage.ready)
        stage.serve("one", compression=False)
        until("seen", stage.ready)
        assert (stage.workers(), containers(project_of(stage.name))) == (before, ids)

        image = another_image(stage, "next")
        file, aside = stage.pool_file("one"), stage.root / "aside"
        with Requests(stage, "one") as load:
            until("some requests", lambda: len(load.answers) > 50)
            # The next HAProxy would have no replica of it.
            file.rename(aside)
            stage.write(image=image)
            until("it waits for the file", lambda: "has to be written again first" in _described(stage))
            count = len(load.answers)
            until("requests meanwhile", lambda: len(load.answers) > count + 50)
            aside.rename(file)
            until("the new image runs", lambda: _runs(stage, image) and stage.ready())
            count = len(load.answers)
            until("more requests", lambda: len(load.answers) > count + 100)
        assert set(load.answers) == {(200, "one")}, stage.story()
        assert set(containers(project_of(stage.name), "haproxy")).isdisjoint(ids)
    # One that was started while the file was away has no such pool, until it is reloaded.
    file.rename(aside)
    docker("restart", "--time=1", *containers(project_of(stage.name), "haproxy"))
    until("it runs without the pool", lambda: stage.has_pool("one") is False)
    aside.rename(file)
    with stage.controller():
        until("one is served again", lambda: stage.serves("one"))

        told = stage.vaultctl("delete", f"vg/{stage.name}", "--timeout", "30s", code=None)
        assert f"services have routes on it: {stage.name}-one" in told
        assert stage.get("one") == (200, "one")
        (stage.manifests / f"{stage.name}.yaml").unlink()
        stage.drop("one")
        until("it is gone", lambda: not containers(project_of(stage.name), everything=True))


def _described(stage: GatewayStage) -> str:
    return stage.vaultctl("describe", f"vg/{stage.name}")


def _runs(stage: GatewayStage, image: str) -> bool:
    running = containers(project_of(stage.name), "haproxy")
    return len(running) == 1 and docker("inspect", "--format={{.Config.Image}}", *running) == image


def test_a_port_that_is_taken_is_told(stage: GatewayStage) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", stage.port))
        squatter.listen()
        with stage.controller():
            told = until(
                "blocked", lambda: "is taken by" in stage.vaultctl("get", f"vg/{stage.name}", code=None)
            )
            assert told
            squatter.close()
            until("ready", stage.ready)


@pytest.mark.parametrize("stage", ["host"], indirect=True)
def test_a_new_listener_on_the_host_is_a_reload(stage: GatewayStage) -> None:
    (other,) = free_ports(1)
    stage.serve("one")
    with stage.controller():
        until("ready", stage.ready)
        stage.start("one")
        until("it is served", lambda: stage.serves("one"))
        before = containers(project_of(stage.name))
        listeners = [
            {"name": name, "port": port, "protocol": "HTTP", "address": "127.0.0.1"}
            for name, port in (("http", stage.port), ("more", other))
        ]
        with Requests(stage, "one") as load:
            until("some requests", lambda: len(load.answers) > 50)
            stage.write(listeners=listeners)
            stage.port, first = other, stage.port
            until("it listens", lambda: stage.serves("one"))
            stage.port = first
        # Until the reload the second port is closed.
        assert {each for each in load.answers if not isinstance(each, OSError)} == {(200, "one")}
        assert containers(project_of(stage.name)) == before
