"""The page in Chromium: its cost while it is open, the time from a death to the page, and 300 services that change.

    .venv/bin/python benchmarks/ui.py [SECONDS]

The cost is that of a controller of ten services with three replicas each, without a page and with five. For the changes,
the server runs in this process without an engine, and statuses are written for SECONDS. What Chromium's main thread takes
is the time of its processor, so other work on the machine does not count.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import psutil

from benchmarks.at_rest import processor_seconds
from benchmarks.harness import page
from benchmarks.harness.contestants import DEADLINE
from benchmarks.harness.crowd import Crowd, crowd
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.row import BARE, MEGABYTES, PERCENT, SECONDS, Goal, Row
from reconciler.api import Condition, Status, parse
from reconciler.api.status import ReplicaCounts
from reconciler.cli.api_serving import observing
from reconciler.cli.ui_serving import serving_ui
from reconciler.core.desired.build import project_of
from reconciler.store.base import Origin
from reconciler.store.users import Users
from reconciler.wiring import Application, Options, utc_now, wire
from tests.e2e.docker_cli import containers, died_at
from tests.e2e.stage import free_port
from tests.web.ui.apart import chromium_apart
from tests.web.ui.chromium import WATCH, Window, log_in, opened
from tests.web.ui.people import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Locator

RESTING: Final = 10
REPLICAS: Final = 3
PAGES: Final = 5
SETTLE_SECONDS: Final = 30.0
"""A controller that has been started looks at everything, and a page that has been opened gets the first numbers."""
SAMPLE_SECONDS: Final = 60.0
"""A whole round of the resync, and six looks at the containers."""
SAMPLES: Final = 2
DEATHS: Final = 7
MILLISECOND: Final = 1e-3
MEGABYTE: Final = 1e6

SERVICES: Final = 300
CHANGES_A_SECOND: Final = 50
CHANGING_SECONDS: Final = 120
LOADS: Final = 7
SERVING: Final = "#now [aria-label=Replicas] tbody .state.serving"
MANIFEST: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: s{0:03}}}
spec: {{plugin: whoami, replicas: 3, ports: {{http: {1}}}}}
"""
PARTS: Final = 6
"""Looks at the page while services change."""
COUNT: Final = """() => {
  window.replaced = 0;
  const count = (all) => { window.replaced += all.filter((each) => each.addedNodes.length).length; };
  new MutationObserver(count).observe(document.getElementById('rows'), {childList: true});
}"""
LOAD_TIMES: Final = """() => {
  const times = performance.getEntriesByType('navigation')[0];
  return times.domContentLoadedEventEnd - times.startTime;
}"""
"""Milliseconds until the page was read and its scripts have run."""


def rows(lab: Lab, seconds: int = CHANGING_SECONDS) -> Iterator[Row]:
    """Cost, deaths, the first page, and changes."""
    with chromium_apart() as browser:
        yield from _real(lab, browser)
        yield from _many(browser, seconds)


def _real(lab: Lab, browser: Browser) -> Iterator[Row]:
    spec: dict[str, Any] = {"plugin": "idle", "replicas": REPLICAS, "healthcheck": {"interval": "1m"}}
    with crowd(RESTING, **spec) as services, ExitStack() as opened_pages:
        port = free_port()
        services.stage.env["VAULT_UI"] = f"127.0.0.1:{port}"
        services.stage.vaultctl("user", "set-password", "bench", "--stdin", input=f"{PASSWORD}\n")
        with services.stage.controller() as controller:
            wait_until("all services are Ready", lambda: services.is_ready, 2 * DEADLINE)
            process = psutil.Process(controller.pid)
            without = _shares(process)
            url = f"https://127.0.0.1:{port}"
            window = opened_pages.enter_context(opened(browser))
            log_in(window, url, "bench")
            for name in services.names[: PAGES - 1]:
                window.context.new_page().goto(f"{url}/service/{name}")
            shares = _shares(process)
            what = (
                f"controller at rest, {RESTING} services × {REPLICAS} replicas, {PAGES} open pages: of a core"
            )
            limit = "all containers are measured every 10 s"
            yield Row(what, PERCENT, shares, limit, "no page is open", without, Goal(at_most=1.0), _load())
            what = "replica killed → its page shows it"
            asked, told = zip(*_deaths(lab, services, url, window), strict=True)
            note = f"From the request to kill it on; {1000 * median(told):.0f} ms from the engine's event on. {_load()}"
            yield Row(what, SECONDS, asked, lab.one_event(), goal=Goal(at_most=0.5), note=note)


def _shares(process: psutil.Process) -> tuple[float, ...]:
    """Percent of a core."""
    time.sleep(SETTLE_SECONDS)
    found = []
    for _ in range(SAMPLES):
        before = processor_seconds(process)
        time.sleep(SAMPLE_SECONDS)
        found.append(100 * (processor_seconds(process) - before) / SAMPLE_SECONDS)
    return tuple(found)


def _deaths(lab: Lab, services: Crowd, url: str, window: Window) -> Iterator[tuple[float, float]]:
    """Seconds from the request, and from the engine's event, of a replica of one service after the other."""
    for name in services.names[:DEATHS]:
        window.go(f"{url}/service/{name}")
        shown = window.page.locator(SERVING)
        wait_until(f"{name} serves", partial(_are, shown, REPLICAS))
        window.page.evaluate(WATCH)
        victim, began = containers(project_of(name), "idle")[0], time.time()
        lab.engine.kill(victim)
        seen = window.page.evaluate("window.seen") * MILLISECOND
        yield seen - began, seen - died_at(victim, began)


def _are(shown: Locator, count: int) -> bool:
    return shown.count() == count


def _many(browser: Browser, seconds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        state.mkdir(mode=0o711)
        application = wire(Options(state_dir=state))
        Users(state, utc_now).set_password("bench", PASSWORD, "view")
        for number in range(SERVICES):
            _apply(application, number)
        with (
            observing(application) as parts,
            serving_ui(application, "127.0.0.1:0", parts) as url,
            opened(browser) as window,
        ):
            log_in(window, url, "bench")
            yield from _first_page(window)
            yield from _changing(application, window, seconds)


def _first_page(window: Window) -> Iterator[Row]:
    session = window.context.new_cdp_session(window.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    loaded, times = [], []
    for _ in range(LOADS):
        sizes.clear()
        window.page.reload(wait_until="load")
        times.append(window.page.evaluate(LOAD_TIMES) * MILLISECOND)
        loaded.append(sum(sizes) / 1000)
    session.detach()
    what = f"first page with {SERVICES} services"
    yield Row(f"{what}, all of it", "kB", tuple(loaded), "", goal=Goal(at_most=100))
    yield Row(
        f"{what}, until it can be used", SECONDS, tuple(times), "", goal=Goal(at_most=0.3), note=_load()
    )


def _changing(application: Application, window: Window, seconds: int) -> Iterator[Row]:
    session = window.context.new_cdp_session(window.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    window.page.evaluate(COUNT)
    shares, heaps, nodes = [], [], []
    with _changes(application):
        for _ in range(PARTS):
            before, began = _metrics(session)["TaskDuration"], time.monotonic()
            window.page.wait_for_timeout(1000 * seconds / PARTS)
            shares.append(100 * (_metrics(session)["TaskDuration"] - before) / (time.monotonic() - began))
            session.send("HeapProfiler.collectGarbage")
            after = _metrics(session)
            heaps.append(after["JSHeapUsedSize"] / MEGABYTE)
            nodes.append(after["Nodes"])
    what = f"{SERVICES} services, {CHANGES_A_SECOND} changes a second for {seconds} s"
    note = f"{window.page.evaluate('window.replaced'):,} rows of the page were replaced. {_load()}"
    goal = Goal(at_most=20)
    yield Row(f"{what}: main thread of the page", PERCENT, tuple(shares), "", goal=goal, note=note)
    for name, unit, found in (("memory of its scripts", MEGABYTES, heaps), ("its nodes", BARE, nodes)):
        first, last = tuple(found[: PARTS // 2]), tuple(found[PARTS // 2 :])
        yield Row(
            f"{what}: {name}, second half", unit, last, "", "first half", first, Goal(ratio_at_most=1.1)
        )


def _metrics(session: CDPSession) -> Mapping[str, float]:
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


@contextmanager
def _changes(application: Application) -> Iterator[None]:
    """Write statuses until the block ends."""
    stop = threading.Event()

    def write() -> None:
        number, began = 0, time.monotonic()
        while not stop.wait(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic())):
            application.objects.put_status(f"s{number * 7 % SERVICES:03}", _status(number))
            number += 1

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _apply(application: Application, number: int) -> None:
    path = Path("bench.yaml")
    for manifest in parse(MANIFEST.format(number, 20000 + number), path):
        application.objects.apply(manifest.resource, Origin("apply", "bench", path, 1))  # type: ignore[arg-type]
        application.objects.put_status(f"s{number:03}", _status(number))


def _status(number: int) -> Status:
    """Another one for each number; one of seven is not ready."""
    serving = REPLICAS if number % 7 else REPLICAS - 1
    ready = Condition(
        type="Ready",
        status="True" if serving == REPLICAS else "Unknown",
        reason="Serving",
        message=f"{serving} of {REPLICAS} replicas serve, as seen in look {number}",
        last_transition_time=datetime.now(UTC),
        observed_generation=1,
    )
    revision = f"v2-{sha256(str(number).encode()).hexdigest()[:12]}"
    counts = ReplicaCounts(
        desired=REPLICAS, current=REPLICAS, updated=REPLICAS, ready=serving, serving=serving
    )
    return Status(observed_generation=1, conditions=(ready,), replicas=counts, revision=revision)


def _load() -> str:
    """What else the machine did, for those who read a time."""
    return f"The load average was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."


if __name__ == "__main__":
    import sys

    with Lab() as lab:
        for row in rows(lab, int(sys.argv[1]) if len(sys.argv) > 1 else CHANGING_SECONDS):
            print(page.text([row]), flush=True)
