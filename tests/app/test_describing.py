"""A description is whole even where nothing can be looked at: that is when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from reconciler.api import PermanentError, Status, TemporaryError, VaultService
from reconciler.app.describing import describe
from reconciler.core.assess.assessment import Assessment
from reconciler.core.desired.stack import Stack
from reconciler.store.base import Origin, StoredObject
from reconciler.store.history import HistoryStore
from reconciler.store.objects import ObjectStore
from reconciler.wiring import Options, wire
from vault_plugins.contract import PluginError

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def stored(
    objects: ObjectStore,
    make_service: Callable[..., VaultService],
    make_status: Callable[..., Status],
    origin: Origin,
) -> StoredObject:
    stored = objects.apply(make_service(), origin)
    objects.put_status("files", make_status(Ready=("True", "Serving", "3 of 3 serve")))
    return stored


def no_gateway(stored: Any) -> Any:
    pytest.fail("it is no gateway")


@pytest.mark.parametrize("error", [PermanentError, PluginError])
def test_what_cannot_be_built_is_told_in_its_place(
    stored: StoredObject, objects: ObjectStore, tmp_path: Path, error: type[Exception]
) -> None:
    history = HistoryStore(tmp_path / "history.sqlite3")
    history.record_event("files", "Normal", "RolloutComplete", "all replicas run v1-a", NOW)

    def build(service: VaultService, base: Path) -> NoReturn:
        raise error(f"{service.name} in {base.name} cannot be built")

    found = describe(
        stored, objects, history, build, lambda stack: pytest.fail("not built"), no_gateway, events=15
    )
    assert found.unseen == f"files in {tmp_path.name} cannot be built"
    assert (found.instances, found.summary.reason, len(found.events)) == ((), "Serving", 1)


def test_an_engine_that_is_away_is_told_too(
    stored: StoredObject, objects: ObjectStore, tmp_path: Path
) -> None:
    def observe(stack: Stack) -> Assessment:
        raise TemporaryError(f"the engine is away, asked for {stack.name}")

    build = wire(Options(state_dir=tmp_path / "state")).build
    found = describe(stored, objects, HistoryStore(tmp_path / "h"), build, observe, no_gateway, events=15)
    assert found.unseen == "the engine is away, asked for files"
