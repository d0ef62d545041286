"""Counters and histograms are thread-safe, and are removed with their service."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from metrics import catalog
from metrics.metric import Metric
from metrics.recorder import Recorder

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(recorder: Recorder) -> Samples:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in recorder.collect()
        for sample in family.samples
    }


def of(recorder: Recorder, service: str) -> Samples:
    return {series: value for series, value in samples(recorder).items() if series[1][:1] == (service,)}


def test_counters_add_up() -> None:
    recorder = Recorder()
    recorder.add(catalog.ROLLBACKS, name="files")
    recorder.add(catalog.ROLLBACKS, 2, name="files")
    recorder.add(catalog.EVENT_STREAM_RECONNECTS)
    assert samples(recorder)["vault_rollbacks_total", ("files",)] == 3
    assert samples(recorder)["vault_event_stream_reconnects_total", ()] == 1


def test_histograms_fill_the_buckets_of_the_catalogue() -> None:
    recorder = Recorder()
    recorder.observe(catalog.DRAIN_DURATION, 0.3)
    recorder.observe(catalog.DRAIN_DURATION, 1000)
    found = samples(recorder)
    assert found["vault_drain_seconds_sum", ()] == 1000.3
    assert found["vault_drain_seconds_bucket", ("0.25",)] == 0
    assert found["vault_drain_seconds_bucket", ("0.5",)] == 1
    assert found["vault_drain_seconds_bucket", ("+Inf",)] == 2


@pytest.mark.parametrize(
    "record",
    [
        lambda recorder: recorder.add(catalog.ROLLBACKS),
        lambda recorder: recorder.add(catalog.ROLLBACKS, name="files", result="success"),
        lambda recorder: recorder.add(catalog.ROLLBACKS, -1, name="files"),
        lambda recorder: recorder.add(catalog.DRAIN_DURATION),
        lambda recorder: recorder.add(catalog.SUSPENDED, name="files"),
        lambda recorder: recorder.observe(catalog.ROLLBACKS, 1, name="files"),
        lambda recorder: recorder.observe(catalog.ROLLOUT_DURATION, 1, result="fine"),
    ],
)
def test_a_wrong_label_or_type_is_an_error_and_leaves_no_series(record: Callable[[Recorder], None]) -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match=r"vault_|non-negative"):
        record(recorder)
    assert {series: value for series, value in samples(recorder).items() if value} == {}


def test_what_can_be_known_beforehand_starts_at_zero() -> None:
    found = samples(Recorder())
    assert found["vault_webhooks_total", ("rejected",)] == 0
    assert found["vault_event_stream_reconnects_total", ()] == 0


def test_a_service_starts_at_zero_and_keeps_what_it_has() -> None:
    recorder = Recorder()
    recorder.add(catalog.ROTATIONS, name="files", result="error")
    recorder.introduce("files")
    found = of(recorder, "files")
    assert found["vault_rotations_total", ("files", "error")] == 1
    assert found["vault_rotations_total", ("files", "success")] == 0
    assert found["vault_rollbacks_total", ("files",)] == 0
    assert found["vault_reconcile_total", ("files", "panic")] == 0


def test_a_forgotten_service_leaves_nothing_and_takes_nothing_of_others() -> None:
    recorder = Recorder()
    for name in ("files", "wiki"):
        recorder.introduce(name)
        recorder.observe(catalog.RECONCILE_DURATION, 0.1, name=name)
        recorder.add(
            catalog.OPERATIONS, name=name, kind="StartContainer", cause="dead", result=catalog.SUCCESS
        )
    recorder.add(catalog.WORKQUEUE_ADDS, name="files")
    wiki = of(recorder, "wiki")
    recorder.forget("files")
    recorder.forget("never-seen")
    assert of(recorder, "files") == {("workqueue_adds_total", ("files",)): 1}
    assert of(recorder, "wiki") == wiki


def test_threads_lose_no_count() -> None:
    recorder = Recorder()

    def work(number: int) -> None:
        name = f"s{number % 4}"
        for _ in range(500):
            recorder.add(catalog.ROLLBACKS, name=name)
            recorder.observe(catalog.CONVERGE_DURATION, 1)
            list(recorder.collect()) if number == 0 else recorder.introduce(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    found = samples(recorder)
    assert [found["vault_rollbacks_total", (f"s{number}",)] for number in range(4)] == [1000] * 4
    assert found["vault_converge_seconds_count", ()] == 4000


def test_an_exemplar_stays_with_its_count() -> None:
    recorder = Recorder()
    recorder.add(catalog.ROLLBACKS, exemplar={"reconcile_id": "7f"}, name="files")
    recorder.observe(catalog.DRAIN_DURATION, 0.3, exemplar={"reconcile_id": "80"})
    exemplars = {
        sample.name: sample.exemplar.labels
        for family in recorder.collect()
        for sample in family.samples
        if sample.exemplar
    }
    assert exemplars == {
        "vault_rollbacks_total": {"reconcile_id": "7f"},
        "vault_drain_seconds_bucket": {"reconcile_id": "80"},
    }


def test_a_catalogue_of_its_own_knows_no_other_metric() -> None:
    with pytest.raises(ValueError, match="vault_rollbacks_total is not a counter of this recorder"):
        Recorder(()).add(catalog.ROLLBACKS, name="files")


def test_every_family_is_described_and_collected_under_the_name_of_the_catalogue() -> None:
    recorder = Recorder()
    expected: list[Metric] = [m for m in catalog.CATALOG if m.type.value in ("counter", "histogram")]
    for families in (recorder.describe(), recorder.collect()):
        assert sorted(family.name for family in families) == sorted(m.family for m in expected)
