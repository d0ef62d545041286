"""A wait ends with a change of an object or a status, whichever process made it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import VaultGateway
from reconciler.store import watching as module
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from reconciler.store.watching import watching
from tests.stored import MakeStatus, make_service, make_status, objects, origin, state

__all__ = ["make_service", "make_status", "objects", "origin", "state"]

MakeService = Callable[..., VaultService]
PATIENCE = 20.0


@pytest.fixture
def change(
    objects: ObjectStore, make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> Callable[[str], object]:
    """Makes a change by its name."""
    objects.apply(make_service("files"), origin)
    gateway = VaultGateway.model_validate({"kind": "VaultGateway", "metadata": {"name": "main"}, "spec": {}})
    changes: dict[str, Callable[[], object]] = {
        "object": lambda: objects.apply(make_service("files", replicas=4), origin),
        "status": lambda: objects.put_status("files", make_status(Ready=("True", "A", ""))),
        "second status": lambda: objects.put_status("files", make_status(Ready=("False", "B", ""))),
        "new object": lambda: objects.apply(make_service("wiki"), origin),
        "its status": lambda: objects.put_status("wiki", make_status(Ready=("True", "A", ""))),
        "first of a kind": lambda: objects.of(VAULT_GATEWAY).apply(gateway, origin),
        "deletion": lambda: objects.remove("files"),
    }
    return lambda name: changes[name]()


def test_each_change_ends_a_wait(
    state: Path, change: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_SECONDS", PATIENCE)
    with watching(state) as changes:
        for name in (
            "status",
            "second status",
            "object",
            "new object",
            "its status",
            "first of a kind",
            "deletion",
        ):
            while True:  # What belongs to an earlier change is not taken for this one.
                start = time.monotonic()
                changes.wait(0.2)
                if time.monotonic() - start >= 0.2:
                    break
            timer = threading.Timer(0.1, change, [name])
            start = time.monotonic()
            timer.start()
            changes.wait(PATIENCE)
            timer.join()
            assert time.monotonic() - start < PATIENCE / 2, f"{name} was not noticed"


def test_a_wait_ends_at_its_time_without_a_change(state: Path, objects: ObjectStore) -> None:
    with watching(state) as changes:
        start = time.monotonic()
        changes.wait(0.05)
        changes.wait(-1)
        assert 0.04 < time.monotonic() - start < PATIENCE


def test_without_watches_of_the_kernel_it_looks_again_soon(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("inotify_simple.INotify", refused)
    monkeypatch.setattr(module, "BLIND_SECONDS", 0.01)
    with watching(state) as changes:
        start = time.monotonic()
        changes.wait(60)
        assert time.monotonic() - start < PATIENCE
