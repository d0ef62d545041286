"""The committed JSON matches the pages, and the pages show exactly the metrics of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import yaml

from metrics.catalog import EVERYTHING
from metrics.dashboards.grafana import Page, to_json
from metrics.dashboards.pages import PAGES
from metrics.metric import Metric, Type
from tests.metrics.conftest import ROOT
from tests.metrics.promql import metric_names
from tests.metrics.test_alerts import RULE_FILES, RULES

DASHBOARDS = ROOT / "metrics" / "dashboards"
FOREIGN = ("haproxy_", "process_")
"""Metrics that others export: HAProxy's own exporter, and the client library about its process."""
PROMETHEUS = ("up", "ALERTS")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug)


def expressions() -> Iterator[str]:
    for page in PAGES:
        for query in chain((q for panel in page.panels for q in panel.queries), (q for _, q in page.marks)):
            yield query.expr
    yield from (rule["expr"] for rule in RULES)


def exported(metric: Metric) -> set[str]:
    if metric.type is Type.HISTOGRAM:
        return {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return {metric.name}


RECORDED = {
    rule["record"]: rule["expr"]
    for path in RULE_FILES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "record" in rule
}
USED = set().union(*map(metric_names, chain(expressions(), RECORDED.values())))


@pytest.mark.parametrize("metric", EVERYTHING, ids=lambda metric: metric.name)
def test_every_metric_is_shown_or_alerted_on(metric: Metric) -> None:
    assert exported(metric) & USED, "put it on a page, or remove it from the catalogue"


@pytest.mark.parametrize("name", sorted(USED))
def test_every_name_that_is_used_exists(name: str) -> None:
    ours = set().union(*map(exported, EVERYTHING))
    assert name in ours or name in RECORDED or name in PROMETHEUS or name.startswith(FOREIGN)


@every_page
def test_the_committed_file_is_up_to_date(page: Page) -> None:
    committed = (DASHBOARDS / f"{page.slug}.json").read_text(encoding="utf-8")
    assert committed == to_json(page), "run `python -m metrics.dashboards`"


@every_page
def test_the_model_is_one_that_grafana_loads(page: Page) -> None:
    model = json.loads(to_json(page))
    panels: list[dict[str, Any]] = model["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)
    names = {variable["name"] for variable in model["templating"]["list"]}
    text = json.dumps(model)
    assert "source" in names
    assert ("service" in names) == ("$service" in text)


def test_every_page_has_a_uid_and_a_title_of_its_own() -> None:
    models = [json.loads(to_json(page)) for page in PAGES]
    for field in ("uid", "title"):
        assert len({model[field] for model in models}) == len(models)


def test_provisioning_files_are_what_grafana_calls_version_1() -> None:
    for path in (DASHBOARDS / "provisioning").glob("*.yaml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert document["apiVersion"] == 1
        assert document.keys() & {"providers", "datasources"}


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ('sum by (name) (rate(a_total{code="5xx"}[5m])) / on (name) b_c > 5 * 60', {"a_total", "b_c"}),
        ("histogram_quantile(0.5, sum by (le) (rate(x_bucket[$__rate_interval])))", {"x_bucket"}),
        ('up{job="a"} == 0 or absent(up{job="b"}) unless bool:record', {"up", "bool:record"}),
    ],
)
def test_names_are_found_in_expressions(expr: str, names: set[str]) -> None:
    assert metric_names(expr) == names
