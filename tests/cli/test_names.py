"""NAMEs: found, completed, and the nearest one told when they are not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import VaultError, VaultService
from reconciler.cli.names import existing
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
        ("../etc", "there are: files, wiki"),
    ],
)
def test_a_missing_name_is_answered_with_what_there_is(two: ObjectStore, name: str, says: str) -> None:
    with pytest.raises(VaultError) as caught:
        existing(two, [name])
    assert says in str(caught.value)


def test_names_are_completed_from_the_state_directory(
    two: ObjectStore, state: Path, process: Callable[..., object]
) -> None:
    (state / "services" / "fossil").mkdir()
    environment = {
        "_VAULTCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "vaultctl describe f",
        "COMP_CWORD": "2",
    }
    done = process("describe", "f", env=environment)
    assert done.stdout.split() == ["plain,files"]  # type: ignore[attr-defined]
