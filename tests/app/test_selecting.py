"""Objects by label, field and namespace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.api import Metadata, VaultError, VaultService
from reconciler.api.query.errors import QueryError
from reconciler.app.selecting import Selection, require_namespace
from reconciler.store.base import Origin, StoredObject

MakeService = Callable[..., VaultService]


@pytest.fixture
def stored(make_service: MakeService, origin: Origin) -> list[StoredObject]:
    labels = {"files": {"team": "web"}, "wiki": {"team": "web", "tier": "b"}, "mail": {}}
    return [
        StoredObject(
            make_service(name).model_copy(update={"metadata": Metadata(name=name, labels=each)}), origin
        )
        for name, each in labels.items()
    ]


@pytest.mark.parametrize(
    ("labels", "fields", "names"),
    [
        (None, None, ["files", "wiki", "mail"]),
        ("team=web", None, ["files", "wiki"]),
        ("team=web,!tier", None, ["files"]),
        ("team!=web", "", ["mail"]),
        ("tier in (a,b)", None, ["wiki"]),
        (None, "metadata.name=wiki", ["wiki"]),
        (None, "metadata.namespace=default,metadata.name!=wiki", ["files", "mail"]),
        ("team=web", "metadata.name=mail", []),
    ],
)
def test_selection(
    stored: list[StoredObject], labels: str | None, fields: str | None, names: list[str]
) -> None:
    assert [each.name for each in Selection.parse(labels, fields).of(stored)] == names


def test_an_object_has_no_other_fields_to_select_by() -> None:
    with pytest.raises(QueryError, match=r"not supported: status\.phase"):
        Selection.parse(None, "status.phase=Running")


def test_there_is_one_namespace() -> None:
    for name in (None, "", "default"):
        require_namespace(name)
    with pytest.raises(VaultError, match="there is no namespace 'kube-system'; all objects are in 'default'"):
        require_namespace("kube-system")
