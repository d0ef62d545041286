"""Which containers of an adopted project count among those of the stack, and as what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.core.assess.former import with_former
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Former, Role, Stack
from reconciler.core.names import VAULT_NET
from tests.simulation.services import Wish, build_stack

STACK = build_stack(Wish(plugin="stateful", replicas=1).service())
REVISIONS = {workload.name: workload.revision for workload in STACK.workloads}
CURRENT, OUTDATED = "current", "outdated"


def container(workload: str, state: State = State.RUNNING, *, revision: str = "", code: int = 0) -> Container:
    running = state is State.RUNNING
    return Container(
        id=f"{workload}{revision}",
        name=f"shop-{workload}-1",
        workload="whatever it is called there",
        role=Role.WEB,
        revision="",
        state=state,
        health=Health.NONE,
        created=datetime(2026, 5, 1, tzinfo=UTC),
        addresses={VAULT_NET: "10.0.0.2"} if running else {},
        exit_code=None if running else code,
    )


def adopted(workload: str, revision: str) -> Stack:
    return replace(STACK, former=(Former(workload, workload, revision),))


@pytest.mark.parametrize(
    ("workload", "revision", "state", "counts"),
    [
        ("database", CURRENT, State.RUNNING, CURRENT),
        # It died, and is started again like one of our own.
        ("database", CURRENT, State.EXITED, CURRENT),
        ("database", OUTDATED, State.RUNNING, OUTDATED),
        ("database", OUTDATED, State.PAUSED, OUTDATED),
        ("database", OUTDATED, State.RESTARTING, OUTDATED),
        # It is kept for the way back, and the new one is created.
        ("database", OUTDATED, State.EXITED, None),
        ("database", OUTDATED, State.CREATED, None),
        ("migrate", CURRENT, State.EXITED, CURRENT),
        ("migrate", OUTDATED, State.EXITED, None),
        ("migrate", OUTDATED, State.RUNNING, None),
        # The web service is switched by the journal.
        ("web", CURRENT, State.RUNNING, None),
        ("nothing-of-the-stack", CURRENT, State.RUNNING, None),
    ],
)
def test_what_counts(workload: str, revision: str, state: State, counts: str | None) -> None:
    stack = adopted(workload, REVISIONS.get(workload, "x") if revision == CURRENT else "")
    found = with_former(stack, (), [container(workload, state)])
    seen = [(c.workload, c.role, c.revision) for c in found]
    if counts is None:
        assert seen == []
    else:
        (mine,) = (w for w in STACK.workloads if w.name == workload)
        assert seen == [(workload, mine.role, mine.revision if counts == CURRENT else "")]


def test_beside_one_of_our_own_a_former_one_that_runs_is_outdated() -> None:
    stack = adopted("database", REVISIONS["database"])
    own = replace(container("database"), workload="database")
    for state, count in ((State.RUNNING, 1), (State.EXITED, 0)):
        _, *others = with_former(stack, (own,), [container("database", state)])
        assert [other.revision for other in others] == [""] * count


def test_without_one_of_its_networks_it_is_taken_over() -> None:
    cut = replace(container("database"), addresses={})
    (found,) = with_former(adopted("database", REVISIONS["database"]), (), [cut])
    assert found.revision == ""


def test_one_that_is_gone_does_not_count() -> None:
    assert with_former(adopted("database", REVISIONS["database"]), (), []) == ()
