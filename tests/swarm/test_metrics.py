"""The metrics of HAProxies on all nodes are pages of the controller, and their requests are counted: with no port opened on
a node, and a node that is away is a target that is down.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from metrics.dashboards.pages import GATEWAYS
from tests.e2e.observatory import Prometheus, observing, programs
from tests.e2e.stage import HOST, Stage, free_port
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node
from tests.swarm.ways_in import on_all_nodes

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(420)]

ROUTE: Final = re.compile(r'^vault_route_requests_total\{route="(\S+)",class="2xx"\} (\d+)$', re.MULTILINE)


def test_the_haproxies_of_all_nodes_are_scraped_and_counted(swarm: Laboratory, tmp_path: Path) -> None:
    names = {node.name for node in swarm.nodes}
    # From where it can be had: nodes reach each other only.
    programs()
    with on_all_nodes(swarm) as stage:
        (url,) = re.findall(r"metrics and health on (\S+)", (stage.root / "controller.log").read_text())

        def targets() -> Mapping[str, Mapping[str, Any]]:
            return {each["labels"]["node"]: each for each in httpx.get(f"{url}/discovery/proxies").json()}

        def page(node: str) -> httpx.Response:
            path = targets()[node]["labels"]["__metrics_path__"]
            return httpx.get(f"{url}{path}", timeout=20.0)

        def answered(node: str) -> int:
            said = page(node)
            return sum(int(count) for _, count in ROUTE.findall(said.text)) if said.is_success else 0

        until("each node is a target", lambda: targets().keys() == names)
        assert {tuple(each["targets"]) for each in targets().values()} == {(url.removeprefix("http://"),)}
        assert {each["labels"]["name"] for each in targets().values()} == {f"vaultgateway/{stage.gateway}"}
        assert _printed(stage) == targets()

        before, counted = {node: answered(node) for node in names}, _counted(stage)
        wanted = {node.name: 10 * number for number, node in enumerate(swarm.nodes, 1)}
        for node in swarm.nodes:
            for _ in range(wanted[node.name]):
                said = httpx.get(f"http://{node.address}:{stage.port}/", headers={"Host": HOST}, timeout=20.0)
                assert said.is_success
        # They are counted when their answers have ended.
        until("pages tell them", lambda: {each: answered(each) - before[each] for each in names} == wanted)
        until("views count them", lambda: _counted(stage) - counted == sum(wanted.values()))

        text = page(swarm.nodes[1].name).text
        assert "haproxy_process_build_info" in text
        assert 'haproxy_frontend_http_requests_total{proxy="' in text
        assert "haproxy_server_" not in text
        for node in swarm.nodes:
            assert not _exporter_ports(node), f"{node.name} opens a port for metrics"

        config = stage.vaultctl("prometheus", "config", "--controller", url.removeprefix("http://")).stdout
        with observing(tmp_path, free_port(), config) as prometheus:

            def up(value: int) -> set[str]:
                found = prometheus.query(f'up{{job="vault-proxy-nodes"}} == {value}')
                return {each["metric"]["node"] for each in found}

            until("each node is scraped", lambda: up(1) == names)
            until("the dashboard shows each node", lambda: _on_the_dashboard(prometheus) == names)
            assert prometheus.query('up{job=~"vault-proxy|vault-proxy-holds"}') == []
            scraped = prometheus.query('sum by (name, node) (vault_route_requests_total{class="2xx"})')
            assert {each["metric"]["name"] for each in scraped} == {f"vaultgateway/{stage.gateway}"}
            assert {each["metric"]["node"]: int(each["value"][1]) for each in scraped} == {
                node: before[node] + wanted[node] for node in names
            }

            silent = swarm.nodes[1].name
            with swarm.cut_off(swarm.nodes[1]):
                until("its page is down", lambda: page(silent).status_code == httpx.codes.SERVICE_UNAVAILABLE)
                assert silent in page(silent).text
                until("only its target is down", lambda: (up(0), up(1)) == ({silent}, names - {silent}))
            until("all targets are back", lambda: up(1) == names)


def _on_the_dashboard(prometheus: Prometheus) -> set[str]:
    (panel,) = (each for each in GATEWAYS.panels if each.title == "Requests by node")
    (query,) = panel.queries
    found = prometheus.query(query.expr.replace("$__rate_interval", "10s"))
    return {each["metric"]["node"] for each in found}


def _printed(stage: Stage) -> Mapping[str, Mapping[str, Any]]:
    """The targets as `vaultctl prometheus targets` prints them for the address of the controller."""
    (url,) = re.findall(r"metrics and health on http://(\S+)", (stage.root / "controller.log").read_text())
    printed: Sequence[Mapping[str, Any]] = json.loads(
        stage.vaultctl("prometheus", "targets", "--controller", url).stdout
    )
    return {each["labels"]["node"]: each for each in printed}


def _counted(stage: Stage) -> int:
    """Requests of the service, as the page and the API count them."""
    application = stage.application
    stored = application.objects.get(stage.name)
    assert stored is not None
    stack = application.build(stored.resource)
    requests: Counter[str] = Counter()
    for count in application.counting.counts([(stack, ())]):
        requests[count.service] += count.tally.requests
    return requests[stage.name]


def _exporter_ports(node: Node) -> list[str]:
    """The ports of HAProxies' exporters that a container of the node listens on, in any namespace of it."""
    found = []
    for container in node.docker(
        "ps", "--quiet", "--filter=label=com.docker.compose.service=haproxy"
    ).split():
        for line in node.docker("exec", container, "sh", "-c", "cat /proc/net/tcp*").splitlines():
            fields = line.split()
            if (
                len(fields) > 3
                and fields[3] == "0A"
                and str(int(fields[1].rpartition(":")[2], 16)).startswith("184")
            ):
                found.append(fields[1])
    return found
