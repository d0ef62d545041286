"""A metric refuses labels that would create a series by mistake."""

import pytest

from metrics.metric import SERVICE, Label, Metric, Type

RESULT = Label("result", "How it ended.", ("success", "error"))
WORKLOAD = Label("workload", "Which one.")

COUNTER = Metric("vault_things_total", Type.COUNTER, "Things.", (SERVICE, RESULT))
OPEN = Metric("vault_open_total", Type.COUNTER, "Open.", (SERVICE, WORKLOAD))
PLAIN = Metric("vault_plain_total", Type.COUNTER, "Plain.")


@pytest.mark.parametrize(
    ("name", "type_", "family"),
    [
        ("vault_things_total", Type.COUNTER, "vault_things"),
        ("vault_things_info", Type.INFO, "vault_things"),
        ("vault_things_total", Type.GAUGE, "vault_things_total"),
        ("vault_things_seconds", Type.HISTOGRAM, "vault_things_seconds"),
    ],
)
def test_a_family_is_the_name_without_the_suffix_of_its_type(name: str, type_: Type, family: str) -> None:
    assert Metric(name, type_, "Things.").family == family


def test_values_come_in_the_order_of_the_catalogue() -> None:
    assert COUNTER.values_of({"result": "error", "name": "files"}) == ("files", "error")


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ({"name": "files"}, r"has the labels \['name', 'result'\], not \['name'\]"),
        ({"name": "files", "result": "error", "container": "1"}, "not .*container"),
        ({"name": "files", "reslut": "error"}, "reslut"),
        ({"name": "files", "result": "failed"}, "result='failed' is not one of success, error"),
    ],
)
def test_wrong_labels_are_refused_by_name(labels: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        COUNTER.values_of(labels)


@pytest.mark.parametrize(
    ("metric", "service", "series"),
    [
        (COUNTER, "files", [("files", "success"), ("files", "error")]),
        (COUNTER, None, []),
        (OPEN, "files", []),
        (PLAIN, None, [()]),
        (Metric("vault_x_total", Type.COUNTER, "X.", (RESULT,)), None, [("success",), ("error",)]),
    ],
)
def test_only_series_of_closed_labels_are_known_beforehand(
    metric: Metric, service: str | None, series: list[tuple[str, ...]]
) -> None:
    assert metric.known_series(service) == series


def test_a_queue_that_is_called_name_is_not_a_service() -> None:
    assert COUNTER.per_service
    assert not Metric("workqueue_x_total", Type.COUNTER, "X.", (Label("name", "The queue."),)).per_service
