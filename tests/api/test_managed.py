"""Ownership of fields as Kubernetes has it: conflicts, taking over, sharing, and removal of what is dropped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.api.list_types import sets_of
from reconciler.api.managed import (
    MAX_FIELDS,
    Applied,
    FieldConflictError,
    Manager,
    apply,
    changed,
    created,
    managers_of,
    written,
)

NOW = "2026-05-01T12:00:00Z"


def is_set(path: tuple[str, ...]) -> bool:
    return path[-1] == "f:set"


def spec(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": fields}


def applied(live: Any, managers: Any, by: str, force: bool = False, now: str = NOW, **fields: Any) -> Applied:
    return apply(live, spec(**fields), managers, by, now, is_set, force=force)


def owned(managers: tuple[Manager, ...]) -> dict[str, set[str]]:
    return {each.name: {"/".join(step[2:] for step in path) for path in each.fields} for each in managers}


def test_fields_of_several_managers_live_side_by_side() -> None:
    first = applied({}, (), "a", replicas=1)
    second = applied(first.document, first.managers, "b", paused=True)
    assert second.document["spec"] == {"replicas": 1, "paused": True}
    assert owned(second.managers) == {"a": {"spec/replicas"}, "b": {"spec/paused"}}


def test_another_value_for_a_field_of_another_is_a_conflict_unless_forced() -> None:
    first = applied({}, (), "a", replicas=1)
    with pytest.raises(
        FieldConflictError,
        match=r'1 conflict: conflict with "a" using .*: \.spec\.replicas',
    ):
        applied(first.document, first.managers, "b", replicas=2)
    forced = applied(first.document, first.managers, "b", force=True, replicas=2)
    assert forced.document["spec"] == {"replicas": 2}
    assert owned(forced.managers) == {"b": {"spec/replicas"}}


def test_the_same_value_is_shared_and_stays_until_both_have_dropped_it() -> None:
    first = applied({}, (), "a", replicas=1, paused=True)
    second = applied(first.document, first.managers, "b", replicas=1)
    third = applied(second.document, second.managers, "a", paused=True)
    assert third.document["spec"] == {"replicas": 1, "paused": True}
    fourth = applied(third.document, third.managers, "b")
    assert fourth.document["spec"] == {"paused": True}


def test_what_is_no_longer_applied_is_removed_with_mappings_that_become_empty() -> None:
    first = applied({}, (), "a", env={"A": "1"}, deep={"x": {"y": 1}})
    second = applied(first.document, first.managers, "a", env={})
    assert second.document["spec"] == {"env": {}}


def test_a_change_takes_fields_over_and_forgets_removed_ones() -> None:
    first = applied({}, (), "a", replicas=1, paused=True, gone=1)
    managers = changed(first.document, spec(replicas=5, paused=True), first.managers, "edit", NOW, is_set)
    assert owned(managers) == {"a": {"spec/paused"}, "edit": {"spec/replicas"}}
    with pytest.raises(FieldConflictError):
        applied(spec(replicas=5, paused=True), managers, "a", replicas=1, paused=True)


def test_items_of_a_set_belong_to_managers_one_by_one() -> None:
    first = applied({}, (), "a", set=["x", "y"])
    second = applied(first.document, first.managers, "b", set=["y", "z"])
    assert second.document["spec"]["set"] == ["x", "y", "z"]
    third = applied(second.document, second.managers, "a", set=["y"])
    assert third.document["spec"]["set"] == ["y", "z"]


def test_any_other_list_is_one_value() -> None:
    first = applied({}, (), "a", list=[1, 2])
    with pytest.raises(FieldConflictError, match=r"\.spec\.list"):
        applied(first.document, first.managers, "b", list=[3])


def test_a_value_in_the_place_of_a_mapping_is_a_conflict() -> None:
    first = applied({}, (), "a", port={"http": 1})
    with pytest.raises(FieldConflictError):
        applied(first.document, first.managers, "b", port=None)


def test_a_mapping_that_is_applied_empty_leaves_what_others_have_in_it() -> None:
    first = applied({}, (), "a", env={"A": "1"})
    second = applied(first.document, first.managers, "b", env={})
    assert second.document["spec"] == {"env": {"A": "1"}}
    third = applied(second.document, second.managers, "b", env={"B": "2"})
    assert third.document["spec"] == {"env": {"A": "1", "B": "2"}}


def test_the_same_apply_again_changes_nothing() -> None:
    first = applied({}, (), "a", replicas=1)
    again = applied(first.document, first.managers, "a", now="2027-01-01T00:00:00Z", replicas=1)
    assert again == first


def test_fields_are_not_compared_each_with_each() -> None:
    """That takes longer than a test may."""
    half = MAX_FIELDS // 2 - 10
    fields: dict[str, Any] = {"env": {f"A{number}": "x" for number in range(half)}, "set": list(range(half))}
    first = applied({}, (), "a", **fields)
    applied(first.document, first.managers, "b", env={f"B{number}": "y" for number in range(200_000)})
    second = applied(first.document, first.managers, "a", replicas=1)
    assert second.document["spec"] == {"replicas": 1}


def test_many_managers_and_many_fields_are_forgotten_from_the_oldest_on() -> None:
    document: dict[str, Any] = {}
    managers: tuple[Manager, ...] = ()
    for turn in range(5):
        env = {f"M{turn}N{number}": "x" for number in range(MAX_FIELDS // 3)}
        done = applied(document, managers, f"m{turn}", now=f"2026-05-01T12:00:0{turn}Z", env=env)
        document, managers = done.document, done.managers
    assert [each.name for each in managers] == ["m2", "m3", "m4"]
    alone = applied({}, (), "large", env={f"N{number}": "x" for number in range(MAX_FIELDS + 1)})
    assert [each.name for each in alone.managers] == ["large"]


def test_status_and_identity_belong_to_nobody() -> None:
    document = {**spec(replicas=1), "apiVersion": "x", "kind": "y", "status": {"replicas": 1}}
    document["metadata"] |= {"uid": "1", "resourceVersion": "5", "labels": {"a": "b"}, "finalizers": ["x/y"]}
    (manager,) = created(document, "a", "Update", NOW, is_set)
    assert owned((manager,))["a"] == {"spec/replicas", "metadata/labels/a", 'metadata/finalizers/"x/y"'}


def test_they_are_written_as_fields_v1_and_read_again() -> None:
    first = applied({}, (), "a", env={"A": "1"}, set=["x"])
    (entry,) = written(first.managers)
    assert entry["fieldsV1"] == {"f:spec": {"f:env": {"f:A": {}}, "f:set": {'v:"x"': {}}}}
    assert (entry["manager"], entry["operation"], entry["time"]) == ("a", "Apply", NOW)
    assert managers_of([entry]) == first.managers


def test_entries_of_other_servers_are_read() -> None:
    (manager,) = managers_of(
        [
            {
                "manager": "k",
                "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}},
            }
        ]
    )
    assert owned((manager,)) == {"k": {"metadata/labels/a"}}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"manager": "a", "operation": "Drop"},
        {"manager": 5, "operation": "Apply"},
        {"manager": "a", "operation": "Apply", "fieldsV1": {"x": {}}},
        {"manager": "a", "operation": "Apply", "fieldsV1": {"f:a": 5}},
        {"manager": "a", "operation": "Apply", "fieldsV1": {"v:{": {}}},
    ],
)
def test_other_entries_are_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        managers_of([entry])


def test_sets_are_those_of_the_crd() -> None:
    of_service = sets_of(VAULT_SERVICE)
    assert of_service(("f:spec", "f:driftIgnore"))
    assert not of_service(("f:spec", "f:routes"))
    assert not of_service(("f:spec", "f:nothing"))


VALUES = st.integers(0, 2) | st.dictionaries(st.sampled_from("xy"), st.integers(0, 1), max_size=2)
FIELDS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["m", "n", "o"]), FIELDS, st.booleans()), max_size=8))
def test_after_an_apply_the_document_has_what_was_applied_and_nothing_is_lost_unseen(turns: Any) -> None:
    document: dict[str, Any] = spec()
    managers: tuple[Manager, ...] = ()
    for by, fields, force in turns:
        try:
            done = applied(document, managers, by, force=force, **fields)
        except FieldConflictError:
            assert not force
            continue
        document, managers = done.document, done.managers
        for name, value in fields.items():
            kept = document["spec"][name]
            assert kept == value if not isinstance(value, dict) else value.items() <= kept.items()
        again = applied(document, managers, by, now="later", **fields)
        assert (again.document, again.managers) == (document, managers)
        assert managers_of(written(managers)) == managers
