"""What is written can be read back by the client library's own parsers, in both formats."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import DuplicateTimeseries

from metrics import catalog
from metrics.collector import StateCollector
from metrics.exposition import OPENMETRICS, TEXT, Exposition
from metrics.recorder import Recorder
from metrics.snapshots import QueueSnapshot, ServiceSnapshot

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
Parser = Callable[[str], Iterable[Family]]
both_formats = pytest.mark.parametrize(
    ("accept", "parse"), [("", parse_text), ("application/openmetrics-text", parse_openmetrics)]
)


class OneFamily:
    """A collector of what it was given."""

    def __init__(self, family: Family) -> None:
        self.family = family

    def collect(self) -> Iterator[Family]:
        yield self.family


def full() -> tuple[Recorder, StateCollector]:
    recorder = Recorder()
    recorder.introduce("files")
    recorder.observe(catalog.RECONCILE_DURATION, 0.02, name="files")
    recorder.observe(catalog.ROLLOUT_DURATION, 3, result="completed")
    recorder.add(
        catalog.OPERATIONS, name="files", kind="StartContainer", cause="dead", result=catalog.SUCCESS
    )
    service = ServiceSnapshot(
        name="files",
        plugin="whoami",
        generation=2,
        observed_generation=2,
        conditions={"Ready": "True"},
        replicas={"web": {"desired": 3}},
        observed_at=NOW,
    )
    queue = QueueSnapshot(name="vaultservice", depth=0, workers=2, active_workers=0)
    states = StateCollector(
        version="1.2.3", python="3.11", now=lambda: NOW, services=lambda: [service], queues=lambda: [queue]
    )
    return recorder, states


def read(body: bytes, parse: Parser) -> dict[str, Family]:
    return {family.name: family for family in parse(body.decode())}


@both_formats
def test_every_sample_is_read_back(accept: str, parse: Parser) -> None:
    collectors = full()
    body, _ = Exposition(*collectors).render(accept)
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read(body, parse).values()
        for sample in family.samples
        if not sample.name.startswith("process_")
    }
    assert found == {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for collector in collectors
        for family in collector.collect()
        for sample in family.samples
    }
    assert len(found) > 80


@both_formats
def test_every_metric_of_the_catalogue_is_there_with_its_type_help_and_unit(
    accept: str, parse: Parser
) -> None:
    body, _ = Exposition(*full()).render(accept)
    found = read(body, parse)
    for metric in catalog.CATALOG:
        # The text format has no info type, and the suffix is part of the family's name there.
        is_text_info = parse is parse_text and metric.type == "info"
        family = found[metric.name if is_text_info else metric.family]
        assert family.type == ("gauge" if is_text_info else metric.type)
        assert family.documentation == metric.help
        if parse is parse_openmetrics:
            assert family.unit == metric.unit
    assert {name for name in found if not name.startswith(("vault_", "workqueue_"))} >= {
        "process_resident_memory_bytes",
        "process_open_fds",
    }


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text ; Version=1.0.0", OPENMETRICS),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.5",
            OPENMETRICS,
        ),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0;q=0.9,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=often", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        (";;,,=;q==", TEXT),
        ("application/openmetrics-text;" * 1000, OPENMETRICS),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, content_type: str) -> None:
    body, answered = Exposition().render(accept)
    assert answered == content_type
    assert body.endswith(b"# EOF\n") == (content_type == OPENMETRICS)


# '\r' is left out: the text format has no escape for it and readers split lines at it.
label_values = st.text(
    st.characters(exclude_categories=["Cs", "Zl", "Zp", "Cc"]) | st.sampled_from('\\"\n{},= ')
)


@both_formats
@given(value=label_values)
def test_no_label_value_breaks_out_of_its_quotes(accept: str, parse: Parser, value: str) -> None:
    family = Family("vault_x", "X.", "gauge")
    family.add_sample("vault_x", {"plugin": value, "name": "files"}, 1)
    body, _ = Exposition(OneFamily(family)).render(accept)
    assert read(body, parse)["vault_x"].samples[0].labels == {"plugin": value, "name": "files"}


@both_formats
def test_half_a_surrogate_pair_does_not_cost_the_scrape(accept: str, parse: Parser) -> None:
    family = Family("vault_x", "X.", "gauge")
    family.add_sample("vault_x", {"plugin": "a\udc80b"}, 1)
    body, _ = Exposition(OneFamily(family)).render(accept)
    assert read(body, parse)["vault_x"].samples[0].labels == {"plugin": "a?b"}


@both_formats
@given(value=st.floats(allow_nan=False))
def test_every_number_is_read_back_exactly(accept: str, parse: Parser, value: float) -> None:
    family = Family("vault_x", "X.", "gauge")
    family.add_sample("vault_x", {}, value)
    body, _ = Exposition(OneFamily(family)).render(accept)
    assert read(body, parse)["vault_x"].samples[0].value == value


@pytest.mark.parametrize(
    ("value", "written"), [(float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (3, "3.0")]
)
def test_numbers_are_spelt_as_the_formats_want_them(value: float, written: str) -> None:
    family = Family("vault_x", "X.", "gauge")
    family.add_sample("vault_x", {}, value)
    assert f"\nvault_x {written}\n".encode() in Exposition(OneFamily(family)).render()[0]


@both_formats
def test_help_may_hold_anything(accept: str, parse: Parser) -> None:
    family = Family("vault_x", 'A "quote", a \\ and\na second line.', "gauge")
    family.add_sample("vault_x", {}, 1)
    body, _ = Exposition(OneFamily(family)).render(accept)
    assert read(body, parse)["vault_x"].documentation == family.documentation


def test_exemplars_are_told_in_openmetrics_only() -> None:
    recorder = Recorder()
    recorder.add(catalog.ROLLBACKS, exemplar={"reconcile_id": "7f"}, name="files")
    recorder.observe(catalog.DRAIN_DURATION, 0.3, exemplar={"reconcile_id": "80"})
    exposition = Exposition(recorder)
    families = read(exposition.render("application/openmetrics-text")[0], parse_openmetrics)
    rollback = families["vault_rollbacks"].samples[0].exemplar
    assert rollback is not None
    assert rollback.labels == {"reconcile_id": "7f"}
    buckets = [s.exemplar.value for s in families["vault_drain_seconds"].samples if s.exemplar]
    assert buckets == [0.3]
    assert b"reconcile_id" not in exposition.render()[0]


def test_two_collectors_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateTimeseries):
        Exposition(Recorder(), Recorder())
