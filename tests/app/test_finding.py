"""Objects are found by name, and the nearest one is told when there is none."""

from collections.abc import Callable

import pytest

from reconciler.api import VaultService
from reconciler.app.finding import NotFoundError, existing
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]


@pytest.fixture
def two(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    for name in ("files", "wiki"):
        objects.apply(make_service(name), origin)
    return objects


def test_names_are_found_once_and_in_their_order(two: ObjectStore) -> None:
    found = existing(two, ["wiki", "vaultservice/files", "wiki"])
    assert [stored.name for stored in found] == ["wiki", "files"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("file", "did you mean 'files'?"),
        ("zzz", "there are: files, wiki"),
        ("../etc", "there is no kind '..'; there are: vaultservice, vs"),
        ("deployment/files", "there is no kind 'deployment'; there are: vaultservice, vs"),
        ("vaultservise/files", "did you mean 'vaultservice'?"),
        ("vs/zzz", "there are: files, wiki"),
    ],
)
def test_a_missing_name_is_answered_with_what_there_is(two: ObjectStore, name: str, says: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        existing(two, [name])
    assert says in str(caught.value)
