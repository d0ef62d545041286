"""The catalogue keeps the naming rules of Prometheus and OpenMetrics, whatever is added to it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from metrics.catalog import EVERYTHING, REQUEST_HOLD
from metrics.metric import Metric, Type

NAME = re.compile(r"(vault|workqueue)(_[a-z]+)+")
RESERVED_SUFFIXES = ("_total", "_info", "_count", "_sum", "_bucket", "_created")
every_metric = pytest.mark.parametrize("metric", EVERYTHING, ids=lambda metric: metric.name)


def test_every_name_is_there_once() -> None:
    names = [metric.name for metric in EVERYTHING]
    assert sorted(set(names)) == sorted(names)


@every_metric
def test_the_name_says_type_and_unit(metric: Metric) -> None:
    assert NAME.fullmatch(metric.name)
    assert (metric.type is Type.COUNTER) == metric.name.endswith("_total")
    assert (metric.type is Type.INFO) == metric.name.endswith("_info")
    assert not metric.family.endswith(RESERVED_SUFFIXES)
    assert (metric.unit == "seconds") == metric.family.endswith("_seconds")


@every_metric
def test_help_is_a_sentence(metric: Metric) -> None:
    for text in (metric.help, *(label.help for label in metric.labels)):
        assert text.endswith(".")
        assert "|" not in text, "it would break the table of docs/metrics.md"


@every_metric
def test_labels_are_distinct_and_bounded(metric: Metric) -> None:
    assert len(set(metric.label_names)) == len(metric.labels)
    assert not {"container", "id", "le", "quantile", "url"} & set(metric.label_names)
    assert all(len(set(label.values)) == len(label.values) for label in metric.labels)


@every_metric
def test_histograms_and_nothing_else_have_ascending_buckets(metric: Metric) -> None:
    assert (metric.type is Type.HISTOGRAM) == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_haproxy_counts_holds_as_the_catalogue_says() -> None:
    lua = (Path(__file__).parents[2] / "reconciler" / "proxy" / "haproxy" / "hold.lua").read_text(
        encoding="utf-8"
    )
    written = {
        name: re.findall(r"[\w.]+", values)
        for name, values in re.findall(r"local (BUCKETS|RESULTS) = {(.*)}", lua)
    }
    assert tuple(map(float, written["BUCKETS"])) == REQUEST_HOLD.buckets
    assert tuple(written["RESULTS"]) == REQUEST_HOLD.labels[0].values
    assert f'local METRIC = "{REQUEST_HOLD.name}"' in lua
    assert REQUEST_HOLD.help in lua


def test_naming_a_metric_does_not_load_the_client_library() -> None:
    program = "import sys, metrics.catalog, metrics.snapshots; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
