"""The Kubernetes API: the time of a list of 1,000 services, from a change to its event at a watcher, and idle watchers.

    .venv/bin/python benchmarks/api.py

For the times, the server runs in this process without a controller and an engine; the client is a connection with TLS, as
kubectl's. Idle watchers are those of a controller with services that run.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from queue import Queue
from typing import Final

import psutil

from benchmarks.at_rest import processor_seconds
from benchmarks.harness import page
from benchmarks.harness.contestants import DEADLINE
from benchmarks.harness.crowd import Crowd, crowd
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.row import PERCENT, SECONDS, Goal, Row
from reconciler.api import Status, VaultService, parse
from reconciler.cli.api_serving import serving_api
from reconciler.store.base import Origin
from reconciler.store.tokens import Tokens
from reconciler.wiring import Application, Options, utc_now, wire
from tests.e2e.stage import free_port

SERVICES: Final = 1000
LISTS: Final = 21
CHANGES: Final = 101
PATIENCE: Final = 60.0
RESTING: Final = 10
WATCHERS: Final = 20
SETTLE_SECONDS: Final = 30.0
"""A controller that has been started again looks at everything, though all of it is Ready."""
SAMPLE_SECONDS: Final = 60.0
"""A whole round of the resync."""
PATH: Final = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"
TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
MANIFEST: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: s{0:04}, labels: {{team: a}}}}
spec: {{plugin: whoami, replicas: 3, suspend: true, env: {{VERSION: "{0}"}}}}
"""


def rows(lab: Lab | None = None) -> Iterator[Row]:
    """Lists in both forms, events, and idle watchers."""
    yield from _times()
    yield _watched()


def _times() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        state.mkdir(mode=0o711)
        application = wire(Options(state_dir=state))
        for number in range(SERVICES):
            _apply(application, number)
        with serving_api(application, "127.0.0.1:0") as url:
            client = _Client(url, state)
            what = f"Kubernetes API: list of {SERVICES:,} services"
            lists = tuple(client.seconds_of_list("application/json") for _ in range(LISTS))
            goal = Goal(at_most=0.050)
            yield Row(what, SECONDS, lists, "documents are kept as text", goal=goal)
            tables = tuple(client.seconds_of_list(TABLE) for _ in range(LISTS))
            yield Row(f"{what}, as the table of kubectl get", SECONDS, tables, "each document is parsed")
            events = tuple(client.seconds_of_events(application))
            what = "Kubernetes API: status written → event at a watcher"
            yield Row(what, SECONDS, events, "inotify", goal=Goal(at_most=0.010))


def _watched() -> Row:
    """What a controller at rest takes with watchers, and without the API."""
    with crowd(RESTING, plugin="idle", replicas=1, healthcheck={"interval": "1m"}) as services:
        without = _share(services)
        port = free_port()
        services.stage.env["VAULT_API"] = f"127.0.0.1:{port}"
        share = _share(services, f"https://127.0.0.1:{port}")
    what = f"controller at rest, {RESTING} services, {WATCHERS} idle watchers: of a core"
    return Row(what, PERCENT, (share,), "bookmarks", "without --api", (without,), Goal(at_most=0.6))


def _share(services: Crowd, url: str = "") -> float:
    with services.stage.controller() as controller, ExitStack() as stack:
        wait_until("all services are Ready", lambda: services.is_ready, DEADLINE + PATIENCE)
        if url:
            wait_until("the API answers", lambda: _listens(url), DEADLINE)
            client = _Client(url, services.stage.state)
            number = client.number()
            for _ in range(WATCHERS):
                connection, _answer = client.watch(number)
                stack.enter_context(closing(connection))
        process = psutil.Process(controller.pid)
        time.sleep(SETTLE_SECONDS)
        before = processor_seconds(process)
        time.sleep(SAMPLE_SECONDS)
        return 100 * (processor_seconds(process) - before) / SAMPLE_SECONDS


def _listens(url: str) -> bool:
    host, port = url.removeprefix("https://").split(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
    except OSError:
        return False
    return True


def _apply(application: Application, number: int) -> None:
    path = Path("bench.yaml")
    for manifest in parse(MANIFEST.format(number), path):
        assert isinstance(manifest.resource, VaultService)
        application.objects.apply(manifest.resource, Origin("apply", "bench", path, 1))


class _Client:
    def __init__(self, url: str, state: Path) -> None:
        _, token = Tokens(state, utc_now).create("bench", "view", None)
        self._address = url.removeprefix("https://").split(":")
        self._context = ssl.create_default_context(cafile=str(state / "api" / "ca.crt"))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._kept = self._connection()

    def _connection(self) -> http.client.HTTPSConnection:
        host, port = self._address
        return http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=self._context)

    def seconds_of_list(self, accept: str) -> float:
        """One list over a connection that is open."""
        began = time.perf_counter()
        self._kept.request("GET", PATH, headers={**self._headers, "Accept": accept})
        answer = self._kept.getresponse()
        body = answer.read()
        taken = time.perf_counter() - began
        document = json.loads(body)
        assert answer.status == 200, body[:300]
        assert len(document.get("items") or document["rows"]) == SERVICES
        return taken

    def number(self) -> str:
        """The version of all that there is."""
        self._kept.request("GET", f"{PATH}?limit=1", headers=self._headers)
        return str(json.loads(self._kept.getresponse().read())["metadata"]["resourceVersion"])

    def watch(self, number: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        """A watch of what changes after a version, over a connection of its own."""
        connection = self._connection()
        query = f"watch=1&allowWatchBookmarks=true&resourceVersion={number}"
        connection.request("GET", f"{PATH}?{query}", headers=self._headers)
        return connection, connection.getresponse()

    def seconds_of_events(self, application: Application) -> Iterator[float]:
        """From the write of a status to the event of it, one after the other."""
        _, answer = self.watch(self.number())
        seen: Queue[tuple[float, int]] = Queue()

        def read() -> None:
            while line := answer.readline():
                at = time.perf_counter()
                event = json.loads(line)
                if event["type"] == "MODIFIED":
                    seen.put((at, event["object"]["status"]["observedGeneration"]))

        threading.Thread(target=read, daemon=True).start()
        for change in range(1, CHANGES + 1):
            began = time.perf_counter()
            application.objects.put_status(f"s{change:04}", Status(observed_generation=change))
            at, generation = seen.get(timeout=PATIENCE)
            assert generation == change
            yield at - began
            # Each change alone: those that follow at once may share an event.
            time.sleep(0.05)


if __name__ == "__main__":
    print(page.text(rows()))
