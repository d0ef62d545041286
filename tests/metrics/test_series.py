"""Series have the same samples as those of the client library."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter, Histogram

from metrics.metric import Label, Metric, Type
from metrics.series import CounterSeries, HistogramSeries

WHO = Label("who", "Whoever.")
COUNTER = Metric("vault_test_total", Type.COUNTER, "Test.", (WHO,))
HISTOGRAM = Metric("vault_test_seconds", Type.HISTOGRAM, "Test.", (WHO,), "seconds", (0.005, 1.0, 2.5, 60.0))


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_a_counter_counts_as_the_library_does(amounts: Sequence[float]) -> None:
    ours = CounterSeries(COUNTER, ("me",))
    theirs = Counter("vault_test", "Test.", ["who"], registry=None)
    theirs.labels("me")
    for amount in amounts:
        ours.add(amount, None)
        theirs.labels("me").inc(amount)
    samples = [sample for family in theirs.collect() for sample in family.samples]
    assert list(ours.samples()) == [sample for sample in samples if sample.name == COUNTER.name]


@given(st.lists(st.floats(min_value=-10, max_value=1e6) | st.sampled_from(HISTOGRAM.buckets)))
def test_a_histogram_fills_its_buckets_as_the_library_does(values: Sequence[float]) -> None:
    ours = HistogramSeries(HISTOGRAM, ("me",))
    theirs = Histogram("vault_test_seconds", "Test.", ["who"], buckets=HISTOGRAM.buckets, registry=None)
    theirs.labels("me")
    for value in values:
        ours.observe(value, None)
        theirs.labels("me").observe(value)
    samples = [sample for family in theirs.collect() for sample in family.samples]
    assert list(ours.samples()) == [sample for sample in samples if not sample.name.endswith("_created")]


def test_an_exemplar_is_the_last_one_of_its_bucket() -> None:
    series = HistogramSeries(HISTOGRAM, ("me",))
    for value, name in [(0.5, "a"), (0.6, "b"), (2.0, "c"), (100.0, "d")]:
        series.observe(value, {"reconcile_id": name})
    exemplars = [(sample.labels["le"], sample.exemplar) for sample in series.samples() if sample.exemplar]
    assert [(le, each.labels["reconcile_id"], each.value) for le, each in exemplars] == [
        ("1.0", "b", 0.6),
        ("2.5", "c", 2.0),
        ("+Inf", "d", 100.0),
    ]


def test_an_exemplar_that_openmetrics_forbids_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 128 characters"):
        CounterSeries(COUNTER, ("me",)).add(1, {"reconcile_id": "x" * 128})
