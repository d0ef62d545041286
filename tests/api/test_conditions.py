from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.api.condition_types import CONDITION_TYPES, find_condition
from reconciler.api.conditions import Condition, set_condition

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
READY = Condition(
    type="Ready", status="True", reason="Serving", message="3 of 3 replicas serve", observed_generation=1
)


def test_a_first_condition_begins_now() -> None:
    (placed,) = set_condition((), READY, NOON)
    assert placed == READY.model_copy(update={"last_transition_time": NOON})


def test_news_about_the_same_status_keeps_its_beginning() -> None:
    before = set_condition((), READY, NOON)
    news = READY.model_copy(update={"reason": "Rotated", "message": "one is new", "observed_generation": 2})
    (after,) = set_condition(before, news, LATER)
    assert (after.reason, after.message, after.observed_generation) == ("Rotated", "one is new", 2)
    assert after.last_transition_time == NOON


def test_another_status_begins_now() -> None:
    before = set_condition((), READY, NOON)
    (after,) = set_condition(
        before, READY.model_copy(update={"status": "Unknown", "reason": "EngineAway"}), LATER
    )
    assert after.last_transition_time == LATER


def test_a_time_given_with_the_condition_does_not_count() -> None:
    (placed,) = set_condition((), READY.model_copy(update={"last_transition_time": LATER}), NOON)
    assert placed.last_transition_time == NOON


def test_find_condition() -> None:
    conditions = set_condition((), READY, NOON)
    assert find_condition(conditions, "Ready") is conditions[0]
    assert find_condition(conditions, "Stalled") is None


any_condition = st.builds(
    Condition,
    type=st.sampled_from(CONDITION_TYPES),
    status=st.sampled_from(["True", "False", "Unknown"]),
    reason=st.just("Because"),
)


@given(st.lists(any_condition))
def test_there_is_one_of_each_type_in_a_fixed_order_and_the_input_stays(changes: list[Condition]) -> None:
    conditions: tuple[Condition, ...] = ()
    for minute, change in enumerate(changes):
        before = tuple(conditions)
        conditions = set_condition(conditions, change, NOON + timedelta(minutes=minute))
        found = find_condition(conditions, change.type)
        assert found is not None
        assert found.status == change.status
        assert [one for one in before if one.type != change.type] == [
            one for one in conditions if one.type != change.type
        ]
    types = [condition.type for condition in conditions]
    assert types == [each for each in CONDITION_TYPES if each in types]


def test_a_condition_is_written_as_kubernetes_does() -> None:
    (placed,) = set_condition((), READY, NOON)
    assert placed.to_document() == {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "3 of 3 replicas serve",
        "lastTransitionTime": "2026-05-01T12:00:00Z",
        "observedGeneration": 1,
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "Fine"},
        {"status": "true"},
        {"reason": "two words"},
        {"reason": ""},
        {"observedGeneration": -1},
    ],
)
def test_conditions_outside_the_convention_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate({**READY.to_document(), **bad})
