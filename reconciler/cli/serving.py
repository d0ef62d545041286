"""The controller over HTTP: what it measured, whether it lives, whether it can work.

Here because it joins two halves that do not know each other, the HTTP server and the controller; only the command
line stands above both.
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
from reconciler.api import VaultError
from reconciler.cli.about import VERSION
from reconciler.controller.loop.manager import Controller
from reconciler.controller.report.board import Exporter
from reconciler.web.access import Access
from reconciler.web.app import create_app
from reconciler.web.discovery import Target, discovery_route
from reconciler.web.health import Check, Health
from reconciler.web.hooks import HookTarget, hook_route
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.wiring import Application, GitFollow, utc_now

__all__ = ["EngineWatch", "health_of", "serving", "target_of"]

PING_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 10.0
"""A ping that takes longer than this counts as no answer, although it may still be under way."""

_log = logging.getLogger(__name__)


class EngineWatch:
    """Asks the engine again and again whether it is there, so that a health check can answer from memory."""

    def __init__(self, ping: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ping = ping
        self._clock = clock
        self._answered = clock()
        self._problem = "was not asked yet"

    def look(self) -> None:
        """Ask once. Says it in the log when the answer is another than before."""
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
        """What the last answer was, and that there was one lately."""
        silent = self._clock() - self._answered
        problem = self._problem or (f"has not answered for {silent:.0f} s" if silent > SILENT_SECONDS else "")
        return Check("engine", not problem, problem or "answers")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look every PING_SECONDS from a thread, from now on until the block ends."""
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
    )
    routes = [discovery_route(lambda: map(target_of, application.board.exporters()))]
    if webhook_secret:
        routes.append(_hook(application, followed, webhook_secret))
    app = create_app(
        Exposition(application.recorder, state).render,
        health_of(controller, watch),
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
    """An HAProxy as Prometheus shall know it; `name` ties its series to those of its service."""
    return Target(exporter.address, {"name": exporter.service, "slot": str(exporter.slot)})


def health_of(controller: Controller, engine: EngineWatch) -> Health:
    """`/healthz` is about the workers alone, because a restart brings no engine back; `/readyz` is about all."""

    def workers() -> Check:
        detail = (
            "alive"
            if controller.is_live
            else "a worker has ended: restart the controller, and look at its log"
        )
        return Check("workers", controller.is_live, detail)

    def sources() -> Check:
        detail = "read" if controller.is_loaded else "no source could be read yet; the log says why"
        return Check("sources", controller.is_loaded, detail)

    return Health(live=lambda: (workers(),), ready=lambda: (engine.check(), workers(), sources()))
