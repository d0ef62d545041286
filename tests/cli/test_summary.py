"""The few words that a table has room for, by the newest generation of the spec."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.api import Status, VaultService
from reconciler.cli.summary import Verdict, summarize
from reconciler.store.base import Deletion, Origin, StoredObject

MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]

READY = ("True", "Serving", "3 of 3 serve")
MOVING = ("False", "Progressing", "create 1 x web")
STALLED = ("True", "Blocked", "port 8080 is taken")


@pytest.mark.parametrize(
    ("generation", "seen", "conditions", "verdict", "reason"),
    [
        (1, 1, {}, Verdict.MOVING, "Pending"),
        (1, 1, {"Ready": READY}, Verdict.READY, "Serving"),
        (2, 1, {"Ready": READY}, Verdict.MOVING, "Pending"),
        (2, 2, {"Ready": MOVING}, Verdict.MOVING, "Progressing"),
        (2, 2, {"Ready": MOVING, "Stalled": STALLED}, Verdict.FAILED, "Blocked"),
        (2, 1, {"Ready": MOVING, "Stalled": STALLED}, Verdict.MOVING, "Pending"),
    ],
)
def test_verdicts(
    make_service: MakeService,
    make_status: MakeStatus,
    origin: Origin,
    generation: int,
    seen: int,
    conditions: dict[str, tuple[str, str, str]],
    verdict: Verdict,
    reason: str,
) -> None:
    stored = StoredObject(make_service(generation=generation), origin)
    summary = summarize(stored, make_status(seen, **conditions))
    assert (summary.verdict, summary.reason) == (verdict, reason)


def test_what_the_object_says_comes_first(
    make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> None:
    status = make_status(Ready=READY)
    stored = StoredObject(make_service(), origin)
    broken = replace(stored, problem="files.yaml:3:1: is wrong")
    assert summarize(broken, status).message == "files.yaml:3:1: is wrong"
    assert summarize(broken, status).verdict is Verdict.FAILED
    leaving = replace(stored, deletion=Deletion(volumes=False, requested_at=datetime(2026, 5, 1, tzinfo=UTC)))
    assert summarize(leaving, status).reason == "Deleting"
    resting = StoredObject(make_service(suspend=True), origin)
    assert summarize(resting, status).verdict is Verdict.IDLE
