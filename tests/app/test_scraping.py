"""Prometheus is told how to reach the controller and the proxies; a service that cannot be observed is no obstacle."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from reconciler.api import VaultError, VaultService
from reconciler.app.scraping import Scrape, running_exporters, scrape_configuration
from reconciler.core.assess.assessment import Assessment
from reconciler.core.desired.stack import Stack
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.gateway.pools import PoolKind, pool_names
from reconciler.store.base import Origin
from reconciler.wiring import Options, wire

MakeService = Callable[..., VaultService]


def test_the_proxies_are_found_by_asking_the_controller_or_in_a_file() -> None:
    asked = scrape_configuration(Scrape("vault:9180", "/targets", https=True, token_file="token"))
    job = asked["scrape_configs"][1]
    assert job["http_sd_configs"][0]["url"] == "https://vault:9180/targets"
    assert job["http_sd_configs"][0]["authorization"]["credentials_file"] == "token"
    read = scrape_configuration(Scrape("vault:9180", "/targets", proxies_file="proxies.json", rules=False))
    assert read["scrape_configs"][1]["file_sd_configs"] == [{"files": ["proxies.json"]}]
    assert ("rule_files" in asked, "rule_files" in read) == (True, False)


def test_only_the_controller_is_sent_its_credential() -> None:
    found = scrape_configuration(
        Scrape("vault:9180", "/targets", https=True, ca_file="ca", token_file="token")
    )
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    assert {name for name, job in jobs.items() if "authorization" in job} == {
        "vault-controller",
        "vault-proxy-nodes",
    }
    on_nodes = {"source_labels": ["node"], "regex": ".+"}
    kept = {name: job["relabel_configs"] for name, job in jobs.items() if "http_sd_configs" in job}
    assert kept == {
        "vault-proxy": [{**on_nodes, "action": "drop"}],
        "vault-proxy-holds": [{**on_nodes, "action": "drop"}],
        "vault-proxy-nodes": [{**on_nodes, "action": "keep"}],
    }
    assert jobs["vault-proxy-nodes"]["scheme"] == "https"


def test_series_of_all_kinds_of_pools_are_dropped() -> None:
    (proxies,) = (
        job
        for job in scrape_configuration(Scrape("vault:9180", "/targets"))["scrape_configs"]
        if job["job_name"] == "vault-proxy"
    )
    (rule,) = proxies["metric_relabel_configs"]
    assert all(re.fullmatch(rule["regex"], pool) for pool in pool_names(dict.fromkeys(PoolKind, 1)))


def test_a_service_that_cannot_be_observed_is_told(
    tmp_path: Path, make_service: MakeService, origin: Origin
) -> None:
    application = wire(Options(state_dir=tmp_path))
    application.objects.apply(make_service(), origin)

    def observe(stack: Stack) -> Assessment:
        raise VaultError(f"no engine for {stack.name}")

    told: list[str] = []
    found = running_exporters(application.objects, application.build, observe, FRONT, told.append)
    assert list(found) == []
    assert told == ["files: no engine for files"]
