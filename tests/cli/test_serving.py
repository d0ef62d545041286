"""What /healthz and /readyz say is known beforehand, and an engine that is away fails only the second."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from reconciler.api import TemporaryError
from reconciler.cli.serving import EngineWatch, health_of, serving
from reconciler.wiring import Options, wire


@dataclass
class Controller:
    """As much of a controller as a health check asks."""

    is_live: bool = True
    is_loaded: bool = True


class Engine:
    """Answers, or not."""

    def __init__(self) -> None:
        self.problem = ""
        self.asked = threading.Event()

    def ping(self) -> None:
        self.asked.set()
        if self.problem:
            raise TemporaryError(self.problem)


def failed(health: Callable[[], object]) -> list[str]:
    return [check.name for check in health() if not check.ok]  # type: ignore[attr-defined]


def test_an_engine_that_is_away_fails_readiness_alone() -> None:
    engine, time = Engine(), [0.0]
    watch = EngineWatch(engine.ping, clock=lambda: time[0])
    health = health_of(Controller(), watch)  # type: ignore[arg-type]
    assert failed(health.ready) == ["engine"], "nobody has asked it yet"
    watch.look()
    assert failed(health.ready) == []
    engine.problem = "the engine does not answer"
    watch.look()
    assert failed(health.ready) == ["engine"]
    assert failed(health.live) == []
    assert watch.check().detail == "the engine does not answer"


@dataclass
class Lease:
    """As much of an election as a health check asks."""

    holder: str = "node2"
    explanation: str = "the controller on node2 holds the lease of the Swarm"


def test_a_controller_that_stands_by_is_ready_and_one_that_knows_no_holder_is_not() -> None:
    watch = EngineWatch(Engine().ping)
    watch.look()
    assert failed(health_of(Controller(), watch, Lease()).ready) == []  # type: ignore[arg-type]
    assert failed(health_of(Controller(), watch, Lease("")).ready) == ["lease"]  # type: ignore[arg-type]


def test_an_engine_that_hangs_fails_readiness() -> None:
    time = [0.0]
    watch = EngineWatch(lambda: None, clock=lambda: time[0])
    watch.look()
    time[0] = 60.0
    assert watch.check().detail == "has not answered for 60 s"


def test_dead_workers_fail_both_and_unread_sources_readiness() -> None:
    watch = EngineWatch(lambda: None)
    watch.look()
    dead = health_of(Controller(is_live=False), watch)  # type: ignore[arg-type]
    assert failed(dead.live) == failed(dead.ready) == ["workers"]
    unread = health_of(Controller(is_loaded=False), watch)  # type: ignore[arg-type]
    assert failed(unread.live) == []
    assert failed(unread.ready) == ["sources"]


def test_the_engine_is_asked_at_once_and_only_while_it_is_watched() -> None:
    engine = Engine()
    with EngineWatch(engine.ping).watching():
        assert engine.asked.wait(60)


def test_metrics_and_health_are_served(tmp_path: object) -> None:
    application = wire(Options(state_dir=tmp_path / "state", docker_host="tcp://127.0.0.1:1"))  # type: ignore[operator]
    controller = application.controller()
    with serving(application, controller, "127.0.0.1:0") as url:
        assert "vault_build_info" in httpx.get(f"{url}/metrics", timeout=60).text
        assert httpx.get(f"{url}/healthz", timeout=60).status_code == 503, "no worker was started"
        assert "engine" in httpx.get(f"{url}/readyz", timeout=60).json()["reason"]
        assert httpx.get(f"{url}/proxies/main/1", timeout=60).status_code == 404
