"""A day in the life of a service, sixty times as fast, watched by a real Prometheus with the shipped rules.

Each alert fires when it should and only then, every query of every dashboard has an answer, and the numbers lead to the
log lines of the pass that they come from. With VAULT_RECORD_DAY set to a path, the day's series are written there for
`scripts/dashboard-picture`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from metrics.dashboards.pages import GATEWAYS, OVERVIEW, PAGES
from tests import canary
from tests.e2e.docker_cli import docker
from tests.e2e.observatory import RULES, Prometheus, observing, programs
from tests.e2e.relay import Relay
from tests.e2e.stage import VAULTCTL, Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

UNPLAYED = {
    *("VaultControllerDefect", "VaultProxyDown", "VaultStalled"),
    *("VaultGatewayNotReady", "VaultRouteRefused", "VaultSparePoolsUsedUp"),
    *("VaultCertificateMissing", "VaultCertificateEndsSoon", "VaultCertificateRenewalFails"),
    *("VaultImageCheckFails", "VaultOidcKeysUnavailable", "VaultAgentAway", "VaultLeaseNotHeld"),
    *("VaultNodeDown", "VaultQuorumAtRisk", "VaultImageMissingOnNode"),
}
"""A defect would have to be planted first, the other two are not among the promises, and this day has one machine, no
gateway, no issuer of tokens and no image policy, whose checks fail for hours; promtool tries all of them, and
test_gateway_surface.py has a gateway.
"""
ELSEWHERE = ("Agents of other nodes", "Lease of the Swarm", "Nodes of a Swarm")
"""Rows of panels about what one host does not have."""
RATE_WINDOW = "10s"
STEP = 1.0
RESYNC = "2s"
"""Sixty times as often as by default, or nearly: this day has 24 minutes."""
SLOWNESS = frozenset({"VaultNotReady", "VaultRolloutStuck", "VaultDriftNotHealing", "VaultControllerDown"})
"""They allow a change, or an answer, so many minutes, here seconds, and a machine that is busy with other work may need
more.
"""


IDENTITY = ("-c", "user.name=day", "-c", "user.email=day@example.invalid")


def repository(directory: Path, service: str) -> Path:
    """A Git repository with one service that is suspended: it is there to be fetched, not to be run."""
    directory.mkdir()
    (directory / "service.yaml").write_text(
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
        f"metadata: {{name: {service}}}\nspec: {{plugin: whoami, suspend: true}}\n"
    )
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*IDENTITY, "commit", "-q", "-m", "begin")):
        subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, timeout=30)
    return directory


class Day:
    """The controller of a stage on a fixed port, so that Prometheus finds the next one where the last one was."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.port = free_port()
        self.log = stage.root / "controller.log"
        self.repository = repository(stage.root / "git", f"{stage.name}-git")
        self.relay = Relay(stage.root / "engine.sock")

    @contextmanager
    def controller(self) -> Iterator[subprocess.Popen[str]]:
        with self.log.open("a") as stream:
            process = subprocess.Popen(
                [
                    *VAULTCTL,
                    *("--state-dir", str(self.stage.state), "--log-format", "json", "run"),
                    *(
                        "-f",
                        str(self.stage.manifests),
                        "--listen",
                        f"127.0.0.1:{self.port}",
                        "--resync",
                        RESYNC,
                    ),
                    *("--git", f"file://{self.repository}", "--interval", "1s"),
                ],
                stdout=stream,
                stderr=stream,
                text=True,
                env=os.environ | self.stage.env | {"DOCKER_HOST": self.relay.url},
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)

    def logged(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


class Watch:
    """What fires from now on, beside what has had a reason to."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._began = time.time()
        self._reasons = set(SLOWNESS)

    def expect(self, *names: str) -> None:
        """From now on there is a reason for these, whether they fire or not."""
        self._reasons.update(names)

    def until_firing(self, *names: str) -> None:
        """There is a reason for all of these, and they have to fire."""
        self.expect(*names)
        self._prometheus.until_firing(*names, within=3 * PATIENCE)
        self.check()

    def check(self) -> None:
        """Nothing has fired without a reason."""
        assert self._prometheus.fired(self._began) <= self._reasons


@contextmanager
def clients(stage: Stage) -> Iterator[list[int]]:
    """A few requests a second for as long as the block lasts; yields the statuses that were not 200."""
    failed: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.1):
            try:
                status = stage.get()[0]
            except OSError:
                status = 0
            if status != 200:
                failed.append(status)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join(PATIENCE)


def answers(prometheus: Prometheus, expr: str, service: str) -> list[dict[str, Any]]:
    return prometheus.query(expr.replace("$service", service).replace("$__rate_interval", RATE_WINDOW))


def count(prometheus: Prometheus, expr: str) -> float:
    return sum(float(series["value"][1]) for series in prometheus.query(expr))


def record(prometheus: Prometheus, path: Path, start: float) -> None:
    """Write what the overview's panels showed over the whole day."""
    panels = [
        {
            "title": panel.title,
            "unit": panel.unit,
            "kind": panel.kind.value,
            "queries": [
                {
                    "legend": query.legend,
                    "series": prometheus.query_range(
                        query.expr.replace("$__rate_interval", RATE_WINDOW), start, time.time(), STEP
                    ),
                }
                for query in panel.queries
            ],
        }
        for panel in OVERVIEW.panels
    ]
    path.write_text(json.dumps({"start": start, "end": time.time(), "step": STEP, "panels": panels}))


@pytest.mark.turns
def test_each_alert_fires_when_it_should_and_only_then(stage: Stage, tmp_path: Path) -> None:
    day = Day(stage)
    name = stage.name
    stage.write(strategy={"drainSeconds": 1}, env={"GREETING": "morning"})
    config = stage.vaultctl("prometheus", "config", "--controller", f"127.0.0.1:{day.port}").stdout
    with closing(day.relay), observing(tmp_path, free_port(), config) as prometheus:
        start = time.time()

        # Nobody is there yet, and that is said.
        prometheus.until_firing("VaultControllerDown")

        with day.controller() as first:
            stage.converged()
            prometheus.until_quiet()
            until("HAProxy is scraped", lambda: prometheus.query('up{job="vault-proxy"} == 1'))
            watch = Watch(prometheus)
            with clients(stage) as failed:
                # A rollout is no reason for an alert, and costs no request.
                stage.write(env={"GREETING": "noon"})
                stage.converged()
                until(
                    "the rollout is counted",
                    lambda: (
                        count(prometheus, 'vault_rollout_duration_seconds_count{result="completed"}') >= 2
                    ),
                )
                watch.check()

                # A release that dies is given up, and somebody is told. Until it is, it is a crash loop.
                stage.write(env={"FAIL": "exit"})
                watch.expect("VaultStalled", "VaultCrashLooping")
                watch.until_firing("VaultRolledBack")
                assert count(prometheus, f'vault_rollbacks_total{{name="{name}"}}') == 1
                stage.write(env={"FAIL": None})
                stage.converged()

                a_commit_is_refused(day.repository, watch)

                # From now on Git is away; it takes Prometheus a quarter of an hour to say so.
                away = day.repository.rename(stage.root / "git-away")
                watch = Watch(prometheus)
                watch.expect(
                    "VaultGitSourceStale", "VaultGitCommitRefused", "VaultRolledBack", "VaultStalled"
                )

                # Rotation is routine.
                stage.write(rotation={"interval": "5s", "jitter": "0%"})
                until(
                    "replicas rotate",
                    lambda: (
                        count(prometheus, f'vault_rotations_total{{name="{name}", result="success"}}') >= 2
                    ),
                )
                every_query_answers(prometheus, name)
                a_release_hangs(stage, watch)
                assert failed == [], "a rollout, a rollback or a rotation lost a request"
                assert (
                    count(prometheus, "sum_over_time(vault:requests_failed_in_rollout:increase1m[2m])") == 0
                )

            a_request_without_a_replica_is_held(stage, prometheus)
            replicas_die_again_and_again(stage, watch)
            the_engine_hangs(day, watch)
            watch.until_firing("VaultGitSourceStale")
            away.rename(day.repository)
            an_exemplar_leads_to_the_log(prometheus, day, start)
            check_metrics(day)

        # The controller goes away; HAProxy is still watched, and serves.
        assert first.returncode == 0
        watch.until_firing("VaultControllerDown")
        assert stage.get()[0] == 200
        assert count(prometheus, 'min_over_time(up{job="vault-proxy"}[2s])') >= 1
        with day.controller():
            prometheus.until_quiet()
            assert count(prometheus, f'max_over_time(vault_rollbacks_total{{name="{name}"}}[5m])') == 1
            if path := os.environ.get("VAULT_RECORD_DAY"):
                record(prometheus, Path(path), start)
        assert prometheus.fired(start) >= every_alert() - UNPLAYED


def every_alert() -> set[str]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def a_commit_is_refused(repository: Path, watch: Watch) -> None:
    """A pushed tree expands to ten billion files; it is taken back once the alert fires."""

    def git(*arguments: str, input: str | None = None) -> str:
        done = subprocess.run(
            ["git", *IDENTITY, *arguments],
            cwd=repository,
            check=True,
            capture_output=True,
            text=True,
            input=input,
            timeout=30,
        )
        return done.stdout.strip()

    good = git("rev-parse", "HEAD")
    entry = "100644 blob " + git("rev-parse", "HEAD:service.yaml")
    for level in range(10):
        tree = git("mktree", input="".join(f"{entry}\t{level}-{number}\n" for number in range(10)))
        entry = f"040000 tree {tree}"
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-p", good, "-m", "Much from little"))
    watch.until_firing("VaultGitCommitRefused")
    git("update-ref", "refs/heads/main", good)


def a_release_hangs(stage: Stage, watch: Watch) -> None:
    """Its first replica neither dies nor serves; the old ones do, and grow older than rotation allows."""
    stage.write(env={"FAIL": "unhealthy"}, rotation={"interval": "5s", "jitter": "0%"})
    watch.until_firing("VaultNotReady", "VaultRolloutStuck", "VaultDriftNotHealing", "VaultRotationOverdue")
    stage.write(env={"FAIL": None}, rotation=None)
    stage.converged()


def replicas_die_again_and_again(stage: Stage, watch: Watch) -> None:
    """All of them, and before clients have been held for long; until somebody releases what does not die."""
    stage.write(proxy={"holdSeconds": 1})
    stage.converged()
    told = {"VaultCrashLooping", "VaultPoolBelowMinimum", "VaultErrorRateHigh"}
    watch.expect(*told)

    def kill() -> None:
        while not stop.wait(0.1):
            if replicas := stage.replicas():
                docker("kill", *replicas, check=False)  # one may have ended since it was listed

    stop = threading.Event()
    killer = threading.Thread(target=kill, daemon=True)
    with clients(stage) as failed:
        killer.start()
        try:
            watch.until_firing(*told)
        finally:
            stop.set()
            killer.join(PATIENCE)
        assert 503 in failed
    stage.write(env={"GREETING": "evening"}, proxy={"holdSeconds": None})
    stage.converged()


def the_engine_hangs(day: Day, watch: Watch) -> None:
    """It takes calls and answers none, so a worker that wants to begin a rollout waits, and nobody looks any more."""
    day.relay.stall()
    day.stage.write(env={"GREETING": "night"})
    watch.until_firing("VaultQueueBacklog", "VaultNotObserved")
    assert day.stage.get()[0] == 200
    day.relay.flow()
    day.stage.converged()


def every_query_answers(prometheus: Prometheus, service: str) -> None:
    silent = [
        f"{page.slug}: {panel.title}: {query.expr}"
        for page in PAGES
        if page is not GATEWAYS
        for row, panels in page.rows
        if row not in ELSEWHERE
        for panel in panels
        for query in panel.queries
        if not answers(prometheus, query.expr, service)
    ]
    assert not silent, "\n".join(silent)
    for page in PAGES:
        for _, query in page.marks:
            answers(prometheus, query.expr, service)


def a_request_without_a_replica_is_held(stage: Stage, prometheus: Prometheus) -> None:
    held = f'vault_request_hold_seconds_count{{name="{stage.name}", result="released"}}'
    until("holds are scraped", lambda: prometheus.query(held))
    before = count(prometheus, held)
    docker("kill", *stage.replicas())
    until("HAProxy has noticed", lambda: not stage.servers_up())
    assert stage.get()[0] == 200
    until("the hold is counted", lambda: count(prometheus, held) > before)
    stage.converged()


def an_exemplar_leads_to_the_log(prometheus: Prometheus, day: Day, start: float) -> None:
    found = prometheus.ask(
        "query_exemplars", query="vault_reconcile_duration_seconds_bucket", start=start, end=time.time()
    )
    ids = {
        exemplar["labels"]["reconcile_id"]
        for series in found
        if series["seriesLabels"]["name"] == day.stage.name
        for exemplar in series["exemplars"]
    }
    assert ids
    lines = {line["reconcile_id"]: line for line in day.logged() if "reconcile_id" in line}
    told = ids & lines.keys()
    assert told, "no exemplar's pass wrote a line"
    assert {lines[each]["service"] for each in told} == {day.stage.name}


def check_metrics(day: Day) -> None:
    """`promtool check metrics` has no complaint about what the controller serves."""
    connection = http.client.HTTPConnection("127.0.0.1", day.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read()
    finally:
        connection.close()
    assert not canary.seen_in(page)
    done = subprocess.run(
        [programs() / "promtool", "check", "metrics"],
        input=page.decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
