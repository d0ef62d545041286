"""What can be waited for, and when it is reached."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.api.query.errors import QueryError
from reconciler.app.goals import parse_goal

DOCUMENT: dict[str, Any] = {
    "metadata": {"name": "files", "generation": 2},
    "spec": {"plugin": "whoami"},
    "status": {
        "replicas": {"serving": 3},
        "revision": "v2-ab=c",
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 2},
            {"type": "Stalled", "status": "False", "observedGeneration": 2},
            {"type": "Degraded", "status": "True", "observedGeneration": 1},
        ],
    },
}

GOALS = {
    "condition=Ready": True,
    "condition=ready": True,
    "condition=Ready=True": True,
    "condition=Ready=true": True,
    "condition=Ready=False": False,
    "condition=Stalled": False,
    "condition=Stalled=False": True,
    "condition=Degraded": False,  # of an older generation
    "condition=Reconciling": False,
    "jsonpath={.status.replicas.serving}=3": True,
    "jsonpath='{.status.replicas.serving}'=3": True,
    "jsonpath={.status.replicas.serving}='3'": True,
    "jsonpath=.status.replicas.serving=3": True,
    "jsonpath=status.replicas.serving=4": False,
    "jsonpath={.status.revision}=v2-ab=c": True,
    "jsonpath={.status.revision}": True,
    "jsonpath={.status.nothing}": False,
    "jsonpath={.status.nothing}=x": False,
    'jsonpath={.status.conditions[?(@.type=="Ready")].status}=True': True,
    'jsonpath={.status.conditions[?(@.type=="Ready")].status}': True,
    "create": True,
    "delete": False,
}


@pytest.mark.parametrize("text", GOALS)
def test_goals(text: str) -> None:
    assert parse_goal(text).is_met(DOCUMENT) is GOALS[text]


@pytest.mark.parametrize("text", GOALS)
def test_what_is_gone_meets_only_a_deletion(text: str) -> None:
    assert parse_goal(text).is_met(None) is (text == "delete")


def test_what_has_no_status_yet_meets_no_condition() -> None:
    assert not parse_goal("condition=Ready").is_met({"metadata": {"generation": 1}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is nothing to wait for; there are: condition=TYPE"),
        ("Ready", "is nothing to wait for"),
        ("condition=", "names no condition"),
        ("jsonpath=", "the path is empty"),
        ("jsonpath={.a}=", "has no value after its ="),
        ("jsonpath={.a", "character"),
    ],
)
def test_goals_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises(QueryError) as error:
        parse_goal(text)
    assert says in str(error.value)


def test_one_value_is_compared() -> None:
    with pytest.raises(QueryError, match="finds 3 values"):
        parse_goal("jsonpath={.status.conditions[*].status}=True").is_met(DOCUMENT)
