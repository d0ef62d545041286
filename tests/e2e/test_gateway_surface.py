"""What users see of a gateway on a real engine: routes, certificates, checks, metrics, and what is refused or damaged."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from metrics.dashboards.pages import GATEWAYS
from reconciler.api import find_condition
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import remove_project
from tests.e2e.observatory import observing
from tests.e2e.stage import HOST, Stage, free_port, free_ports, staged
from tests.e2e.waiting import until

pytestmark = pytest.mark.docker

BANK = "bank.example.org"
SILENT = {"Since the last failure", "Requests by node"}
"""Panels that have nothing to show while all is well, or on one host."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(routed=True, plugin="whoami") as made:
        made.env["VAULT_ALLOW_HOSTNAMES"] = f"{HOST} *.test"
        (https,) = free_ports(1)
        listeners = [
            {"name": "http", "port": made.port, "protocol": "HTTP"},
            {"name": "https", "port": https, "protocol": "HTTPS"},
        ]
        made.write_manifest("VaultGateway", made.gateway, {"listeners": listeners, "drainSeconds": 2})
        try:
            yield made
        finally:
            remove_project(made.front_project)
            for name in ("b", "c"):
                remove_project(project_of(f"{made.name}-{name}"))


def apply(stage: Stage, name: str, *hosts: str, code: int = 0, **route: Any) -> str:
    """A service that comes from no source, so that nothing but its own apply writes it."""
    document = {
        "apiVersion": "vault.internal/v1alpha1",
        "kind": "VaultService",
        "metadata": {"name": f"{stage.name}-{name}"},
        "spec": {
            "plugin": "whoami",
            "route": {"hostnames": list(hosts), "gateway": stage.gateway, **route},
        },
    }
    path = stage.root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    done = stage.vaultctl("apply", "-f", str(path), "--wait", code=code)
    return done.stdout + done.stderr


def documents(stage: Stage, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stage.vaultctl(*words, "-o", "json", code=None).stdout)
    return found


def states(stage: Stage) -> dict[str, str]:
    return {each["host"]: each["state"] for each in documents(stage, "routes")}


def ask(stage: Stage, host: str) -> int:
    connection = http.client.HTTPConnection(HOST, stage.port, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def fetch(url: str) -> str:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=30)
    try:
        connection.request("GET", place.path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def listening(stage: Stage) -> str:
    """Where the controller serves its metrics."""
    log = stage.root / "controller.log"
    found = until("it listens", lambda: re.findall(r"metrics and health on (http://\S+)", log.read_text()))
    return str(found[-1])


def condition(stage: Stage, kind: str) -> tuple[str, str]:
    status = stage.application.objects.of(VAULT_GATEWAY).status(stage.gateway)
    found = find_condition(status.conditions, kind)  # type: ignore[arg-type]
    return (found.status, found.reason) if found else ("", "")


@contextmanager
def requests(stage: Stage, host: str) -> Iterator[list[int]]:
    """Requests all the time; the statuses of those that had another one than 200, 0 for a lost one."""
    failed: list[int] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                status = ask(stage, host)
            except OSError:
                status = 0
            if status != 200:
                failed.append(status)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield failed
    finally:
        ended.set()
        thread.join(60)


def test_what_users_see_of_a_gateway(stage: Stage, tmp_path: Path) -> None:
    with stage.controller():
        stage.converged()
        # The operator decides who may claim what: the whole manifest is refused here, one claim of it in the controller.
        told = apply(stage, "b", "b.test", BANK, code=1)
        assert f"does not let {stage.name}-b claim {BANK}" in told
        apply(stage, "b", "b.test")
        stage.write(route={"hostnames": [HOST, BANK], "gateway": stage.gateway})
        until("its claim is refused", lambda: states(stage).get(BANK) == "HostnameNotPermitted")
        assert states(stage) == {HOST: "Serving", BANK: "HostnameNotPermitted", "b.test": "Serving"}
        assert ask(stage, HOST) == 200
        assert ask(stage, BANK) == 404

        (certificate,) = documents(stage, "certificate", "list")
        assert (certificate["host"], certificate["state"], certificate["source"]) == (
            *("b.test", "Valid"),
            "self-signed",
        )
        assert "is self-signed" in stage.vaultctl("certificate", "renew", "b.test", code=1).stderr
        assert stage.gateway in stage.vaultctl("get", "gateways").stdout
        page = stage.vaultctl("describe", "gateway", stage.gateway).stdout
        assert re.search(rf"vaultgateway-{stage.gateway}-haproxy-1 +\S* *proxy", page) or "haproxy" in page
        for part in ("Routes:", "Certificates:", BANK, "b.test"):
            assert part in page
        checks = [each for each in documents(stage, "doctor") if each["check"] == f"gateway: {stage.gateway}"]
        assert any(each["message"].startswith("its ports are free or its own") for each in checks)
        assert not [each for each in checks if each["level"] == "fail"]

        what_prometheus_sees(stage, tmp_path)
        a_damaged_object_stops_no_other_one(stage)
        a_refused_deletion_is_taken_back(stage)
        assert "PRIVATE" not in (stage.root / "controller.log").read_text()


def what_prometheus_sees(stage: Stage, tmp_path: Path) -> None:
    url = listening(stage)
    name, route = f"vaultgateway/{stage.gateway}", f"{stage.name}.0"
    groups = json.loads(fetch(f"{url}/discovery/proxies"))
    (target,) = (group for group in groups if group["labels"]["name"] == name)
    assert json.loads(stage.vaultctl("prometheus", "targets").stdout) == [target]
    for _ in range(5):
        assert ask(stage, HOST) == 200
    counters = fetch(f"http://{target['targets'][0]}/holds")
    found = re.search(
        rf'^vault_route_requests_total{{route="{route}",class="2xx"}} (\d+)$', counters, re.MULTILINE
    )
    assert found
    assert int(found[1]) >= 5
    served = fetch(f"{url}/metrics")
    assert f'vault_gateway_routes{{name="{name}",state="refused"}} 1.0' in served
    assert f'vault_certificate_not_after_timestamp_seconds{{name="{name}",host="b.test"}}' in served

    config = stage.vaultctl("prometheus", "config", "--controller", urlsplit(url).netloc).stdout
    with observing(tmp_path, free_port(), config) as prometheus, requests(stage, HOST):

        def silent() -> list[str]:
            return [
                panel.title
                for panel in GATEWAYS.panels
                for query in panel.queries
                if panel.title not in SILENT
                and not prometheus.query(query.expr.replace("$__rate_interval", "10s"))
            ]

        until("every panel has an answer", lambda: not silent())
        pools = prometheus.query('haproxy_backend_status{proxy=~"h[0-9]+"}')
        assert pools == [], "spare pools have no series"


def a_damaged_object_stops_no_other_one(stage: Stage) -> None:
    name = f"{stage.name}-b"
    objects = stage.application.objects
    with requests(stage, HOST) as failed:
        (objects.directory(name) / "object.json").write_text("{")
        apply(stage, "c", "c.test", tls={"certificate": "none"})
        assert ask(stage, "c.test") == 200
        until("it is told", lambda: condition(stage, "Degraded") == ("True", "ObjectUnreadable"))
        assert condition(stage, "Ready")[0] == "True"
        # Its host belongs to it, also for one that comes now.
        apply(stage, "c", "c.test", "b.test", tls={"certificate": "none"})
        lines = [(each["service"], each["host"], each["state"]) for each in documents(stage, "routes")]
        assert (name, "b.test", "Serving") in lines
        assert (f"{stage.name}-c", "b.test", "Conflicted") in lines
        assert "cannot be understood" in stage.vaultctl("get", name).stdout
        apply(stage, "b", "b.test")
        until("it is forgotten", lambda: condition(stage, "Degraded")[0] == "False")
    assert failed == []


def a_refused_deletion_is_taken_back(stage: Stage) -> None:
    told = stage.vaultctl("delete", f"vg/{stage.gateway}", "--timeout", "30s", code=1)
    assert "is not deleted while services have routes on it" in told.stderr
    assert "StillRouted" in stage.vaultctl("get", "gateways", "-o", "wide").stdout
    assert "apply it again to take that back" in stage.vaultctl("describe", "gateway", stage.gateway).stdout
    stage.vaultctl("apply", "-f", str(stage.manifests / f"{stage.gateway}.yaml"), "--wait")
    assert condition(stage, "Ready") == ("True", "Serving")
    stored = stage.application.objects.of(VAULT_GATEWAY).get(stage.gateway)
    assert stored is not None
    assert stored.deletion is None
