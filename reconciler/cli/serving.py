"""The controller over HTTP: metrics, liveness and readiness.

It is here because it joins the HTTP server and the controller, which are independent; only the command line is above
both.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from starlette.routing import Route

from metrics import catalog
from metrics.collector import StateCollector
from metrics.exposition import Exposition
from metrics.lease import LeaseSnapshot
from reconciler.api import VaultError
from reconciler.cli.about import VERSION
from reconciler.controller.loop.election import Election
from reconciler.controller.loop.manager import Controller
from reconciler.controller.report.board import Exporter
from reconciler.web.access import Access
from reconciler.web.app import create_app
from reconciler.web.discovery import Target, discovery_route
from reconciler.web.health import Check, Health
from reconciler.web.hooks import HookTarget, hook_route
from reconciler.web.relayed import relayed_path, relayed_route
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.wiring import Application, GitFollow, utc_now

__all__ = ["EngineWatch", "health_of", "serving", "target_of"]

PING_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 10.0
"""A ping that takes longer than this counts as no answer, although it may still be running."""

_log = logging.getLogger(__name__)


class EngineWatch:
    """Pings the engine periodically, so that a health check can answer from memory."""

    def __init__(self, ping: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ping = ping
        self._clock = clock
        self._answered = clock()
        self._problem = "was not asked yet"

    def look(self) -> None:
        """Ping once. Logs when the answer changes."""
        try:
            self._ping()
            problem = ""
        except VaultError as error:
            problem = str(error)
        if problem and problem != self._problem:
            _log.warning("the engine is away: %s", problem)
        elif self._problem and not problem:
            _log.info("the engine answers")
        self._problem, self._answered = problem, self._clock()

    def check(self) -> Check:
        """The last answer, if it is recent."""
        silent = self._clock() - self._answered
        problem = self._problem or (f"has not answered for {silent:.0f} s" if silent > SILENT_SECONDS else "")
        return Check("engine", not problem, problem or "answers")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Ping every PING_SECONDS from a thread, until the block ends."""
        stop = threading.Event()

        def watch() -> None:
            self.look()
            while not stop.wait(PING_SECONDS):
                self.look()

        threading.Thread(target=watch, name="engine-watch", daemon=True).start()
        try:
            yield
        finally:
            stop.set()


@contextmanager
def serving(
    application: Application,
    controller: Controller,
    listen: str,
    *,
    tls: Tls | None = None,
    access: Access | None = None,
    followed: Sequence[GitFollow] = (),
    webhook_secret: bytes = b"",
) -> Iterator[str]:
    """Serve metrics, health and discovery of `controller` on `listen` ("HOST:PORT") and yield the URL.

    With a `webhook_secret`, also the webhook that wakes the branches `followed`.

    Raises ListenError when the address or the certificate cannot be used.
    """
    host, port = parse_listen(listen)
    watch = EngineWatch(application.engine.ping)
    state = StateCollector(
        version=VERSION,
        python=platform.python_version(),
        now=utc_now,
        services=application.board.snapshots,
        queues=controller.queues,
        sources=lambda: [each.journal.snapshot() for each in followed],
        gateways=application.gateway_board.snapshots,
        agents=application.agent_snapshots,
        lease=lambda: _lease_of(application.election),
        swarm=application.node_board.snapshot,
    )
    routes = [
        discovery_route(lambda: [target_of(each) for each in application.exporters()]),
        relayed_route(application.relayed_metrics),
    ]
    if webhook_secret:
        routes.append(_hook(application, followed, webhook_secret))
    app = create_app(
        Exposition(application.recorder, state).render,
        health_of(controller, watch, application.election),
        routes,
        access=access,
    )
    with Server(app, host, port, tls) as server, watch.watching():
        yield server.url


def _hook(application: Application, followed: Sequence[GitFollow], secret: bytes) -> Route:
    branches = [
        HookTarget(each.source.address.name, each.source.address.branch, each.source.poke)
        for each in followed
    ]
    return hook_route(
        secret, branches, lambda answered: application.recorder.add(catalog.WEBHOOKS, result=answered)
    )


def target_of(exporter: Exporter) -> Target:
    """An HAProxy as a target of Prometheus; `name` links its series to those of its service, or of its gateway. One on
    another node is a page of the controller.
    """
    labels = {"name": exporter.service, "slot": str(exporter.slot)}
    if exporter.node:
        gateway = exporter.service.rpartition("/")[2]
        labels |= {"node": exporter.node, "__metrics_path__": relayed_path(gateway, exporter.slot)}
    return Target(exporter.address, labels)


def _lease_of(election: Election | None) -> LeaseSnapshot | None:
    return LeaseSnapshot(held=election.acts, term=election.term, holder=election.holder) if election else None


def health_of(controller: Controller, engine: EngineWatch, election: Election | None = None) -> Health:
    """`/healthz` only checks the workers, because a restart does not repair the engine; `/readyz` checks everything. A
    controller that stands by for another one is ready.
    """

    def workers() -> Check:
        detail = (
            "alive" if controller.is_live else "a worker has died: restart the controller, and check its log"
        )
        return Check("workers", controller.is_live, detail)

    def sources() -> Check:
        detail = "read" if controller.is_loaded else "no source could be read yet; see the log for the reason"
        return Check("sources", controller.is_loaded, detail)

    def lease() -> tuple[Check, ...]:
        return (Check("lease", bool(election.holder), election.explanation),) if election else ()

    return Health(live=lambda: (workers(),), ready=lambda: (engine.check(), workers(), sources(), *lease()))
