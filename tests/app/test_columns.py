"""Cells of a kind's columns and of custom ones, and the order of rows."""

from __future__ import annotations

import pytest

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.api.query.errors import QueryError
from reconciler.api.query.jsonpath import relaxed
from reconciler.app.columns import cell, cells, custom_columns, sort_key

DOCUMENT = {
    "metadata": {"name": "files"},
    "spec": {"plugin": "whoami", "suspend": False, "dependsOn": ["db", "mail"]},
    "status": {
        "replicas": {"desired": 3, "serving": 0},
        "conditions": [{"type": "Stalled", "status": "False"}, {"type": "Ready", "status": "True"}],
    },
}


def test_the_columns_of_a_kind() -> None:
    found = {column.title: cell(DOCUMENT, column.path) for column in VAULT_SERVICE.columns}
    assert found == {"Plugin": "whoami", "Replicas": "3", "Serving": "0", "Ready": "True", "Age": ""}


def test_custom_columns() -> None:
    columns = custom_columns(
        "NAME:.metadata.name,PLUGIN:{.spec.plugin}, ALL:spec.dependsOn[*],IDLE:.spec.suspend,NO:.x,"
        "READY:.status.conditions[?(@.type=='Ready')].status,TWO:.spec.dependsOn[0,1]"
    )
    assert [column.title for column in columns] == [
        "NAME",
        "PLUGIN",
        "ALL",
        "IDLE",
        "NO",
        "READY",
        "TWO",
    ]
    assert cells(DOCUMENT, columns) == [
        "files",
        "whoami",
        "db,mail",
        "false",
        "<none>",
        "True",
        "db,mail",
    ]


@pytest.mark.parametrize("spec", ["", "NAME", "NAME:", ":.a", "A:.a,", "A:.a[", "A:.a}x{.b"])
def test_custom_columns_that_cannot_be_read(spec: str) -> None:
    with pytest.raises(QueryError):
        custom_columns(spec)


def test_what_has_no_value_comes_first_then_numbers_then_texts() -> None:
    values = ["b", 10, None, 9.5, "a", True]
    documents = [{"x": value} for value in values] + [{}]
    ordered = sorted(documents, key=lambda each: sort_key(each, relaxed(".x")))
    assert [each.get("x") for each in ordered] == [None, None, True, 9.5, 10, "a", "b"]
