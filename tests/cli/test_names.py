"""NAMEs are completed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import VaultService
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]


@pytest.fixture
def two(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    for name in ("files", "wiki"):
        objects.apply(make_service(name), origin)
    return objects


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
