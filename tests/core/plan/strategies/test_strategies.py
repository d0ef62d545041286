"""What each strategy decides, and that a strategy of another kind needs no change of what acts on the decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from reconciler.api.strategy import StrategyType
from reconciler.core.assess.assessment import Assessment
from reconciler.core.desired.strategy import OVERLAPS
from reconciler.core.plan.operations import AddServer, ConfigureProxy, CreateReplicas, DrainServer, SetWeight
from reconciler.core.plan.planner import plan
from reconciler.core.plan.strategies import STRATEGIES, Decision, Gates, decide
from reconciler.proxy.haproxy.front import FRONT
from tests.core.scenes import Scene, read_scene

OLD = "@1 up"
NEW = "@2 up age=9"
TURNS = {"interval": "1h", "mode": "single-active"}


def scene(lines: list[str], kind: str = "", **wish: Any) -> Scene:
    named = [f"web-{n} {line}" for n, line in enumerate(lines, 1)]
    made = read_scene(f"about: a strategy\nwish: { ({'version': '2'} | wish) }\nweb: {named}")
    if not kind:
        return made
    return replace(made, stack=replace(made.stack, strategy=replace(made.stack.strategy, kind=kind)))


def test_every_name_that_a_spec_may_say_is_a_strategy() -> None:
    assert set(get_args(StrategyType)) == set(STRATEGIES) == set(OVERLAPS)


@pytest.mark.parametrize("kind", get_args(StrategyType))
def test_it_starts_a_replica_beside_an_old_one_as_it_says(kind: StrategyType) -> None:
    steps = planned(scene([OLD, OLD, OLD], kind))
    assert any(step.startswith("create") for step in steps) == OVERLAPS[kind]


@pytest.mark.parametrize(
    ("wish", "decision"),
    [
        ({}, Decision(floor=3, surge=1, enough=3)),
        ({"surge": 0, "unavailable": 2}, Decision(floor=1, surge=0, enough=1)),
        ({"surge": 0, "unavailable": "100%"}, Decision(floor=0, surge=0, enough=1)),
        ({"plugin": "single"}, Decision(floor=0, surge=0, enough=3, holds=True, gates=Gates(create=False))),
        (
            {"plugin": "single", "version": "1"},
            Decision(floor=0, surge=0, enough=3, holds=True, gates=Gates(create=True)),
        ),
        ({"rotation": TURNS}, Decision(floor=1, surge=1, enough=1, gates=Gates(turns=True))),
        (
            {"rotation": TURNS, "surge": 0, "unavailable": "100%"},
            Decision(floor=1, surge=0, enough=1, gates=Gates(turns=True)),
        ),
        (
            {"rotation": TURNS, "plugin": "single"},
            Decision(floor=0, surge=0, enough=1, holds=True, gates=Gates(create=False, turns=True)),
        ),
    ],
)
def test_what_is_decided(wish: dict[str, Any], decision: Decision) -> None:
    assert decide(scene([OLD, OLD, OLD], **wish).assessment) == decision


def planned(made: Scene) -> list[str]:
    operations = plan(made.assessment, made.history, FRONT).operations
    wanted = (AddServer, CreateReplicas, DrainServer, SetWeight)
    return [o.sentence for o in operations if isinstance(o, wanted)]


def test_a_strategy_of_a_test_changes_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(assessment: Assessment) -> Decision:
        return replace(decision := STRATEGIES["RollingUpdate"](assessment), surge=2 * decision.surge)

    monkeypatch.setitem(STRATEGIES, "Doubled", doubled)
    assert planned(scene([OLD, OLD, OLD])) == ["create 1 × web"]
    assert planned(scene([OLD, OLD, OLD], "Doubled")) == ["create 2 × web"]


def test_one_that_tries_a_single_new_replica_keeps_the_old_ones_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def canary(assessment: Assessment) -> Decision:
        decision = STRATEGIES["RollingUpdate"](assessment)
        old = [r.name for r in assessment.replicas if not r.current and r.live]
        gates = Gates(
            create=not any(r.current and r.useful for r in assessment.replicas),
            kept_on=frozenset(old[: assessment.stack.replicas - 1]),
        )
        return replace(decision, gates=gates)

    monkeypatch.setitem(STRATEGIES, "Canary", canary)
    assert planned(scene([OLD, OLD, OLD], "Canary")) == ["create 1 × web"]
    assert planned(scene([OLD, OLD, OLD, NEW], "Canary")) == ["drain server web-3_______"]
    assert planned(scene([OLD, OLD, NEW], "Canary")) == []


def test_new_replicas_beside_old_ones_that_all_stay_are_no_surplus(monkeypatch: pytest.MonkeyPatch) -> None:
    def patient(assessment: Assessment) -> Decision:
        decision = STRATEGIES["RollingUpdate"](assessment)
        return replace(decision, gates=Gates(kept_on=frozenset(r.name for r in assessment.replicas)))

    monkeypatch.setitem(STRATEGIES, "Patient", patient)

    def ended(*lines: str, **wish: Any) -> list[str]:
        made = scene(list(lines), "Patient", **wish)
        operations = plan(made.assessment, made.history, FRONT).operations
        return [o.sentence for o in operations if o.sentence.startswith(("drain", "remove", "stop"))]

    assert planned(scene([OLD, OLD, OLD], "Patient")) == ["create 1 × web"]
    assert ended(OLD, OLD, OLD, "@2 created") == []
    assert ended(OLD, OLD, OLD, NEW) == []
    assert ended(OLD, OLD, OLD, NEW, NEW) == ["drain server web-1_______"], "of more than N + surge one is"
    assert ended(OLD, OLD, NEW, replicas=1) == ["drain server web-1_______"], "also after scaling down"


def test_one_that_pauses_is_asked_again_when_the_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def pausing(assessment: Assessment) -> Decision:
        new = [r.member.since for r in assessment.replicas if r.current and r.member is not None]
        left = 30.0 - min(new, default=30.0)
        decision = STRATEGIES["RollingUpdate"](assessment)
        return replace(decision, floor=4, wait=left) if left > 0 else decision

    monkeypatch.setitem(STRATEGIES, "Pausing", pausing)

    def planned_in(age: int) -> tuple[list[str], float | None]:
        made = scene([OLD, OLD, OLD, f"@2 up since={age}"], "Pausing")
        return planned(made), plan(made.assessment, made.history, FRONT).requeue_after

    assert planned_in(12) == ([], 18.0)
    assert planned_in(30)[0] == ["drain server web-1_______"]


def test_one_that_lets_all_new_replicas_in_together_keeps_the_first_ones_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def blue_green(assessment: Assessment) -> Decision:
        new = [r for r in assessment.replicas if r.current]
        complete = sum(r.phase == "ready" for r in new) >= assessment.stack.replicas
        kept_out = frozenset() if complete else frozenset(r.name for r in new)
        wanted = assessment.stack.replicas
        return Decision(floor=wanted, surge=wanted, enough=wanted, gates=Gates(kept_out=kept_out))

    monkeypatch.setitem(STRATEGIES, "BlueGreen", blue_green)
    ready = "@2 age=9"
    assert planned(scene([OLD, OLD], "BlueGreen", replicas=2)) == ["create 2 × web"]
    assert planned(scene([OLD, OLD, ready, "@2 starting"], "BlueGreen", replicas=2)) == []
    assert planned(scene([OLD, OLD, ready, ready], "BlueGreen", replicas=2)) == [
        "add server web-3_______ at 10.0.0.4:8000",
        "add server web-4_______ at 10.0.0.5:8000",
    ]


def weighing(assessment: Assessment) -> Decision:
    """Old replicas have nine times the share of new ones."""
    decision = STRATEGIES["RollingUpdate"](assessment)
    return replace(decision, weights={r.name: 9 for r in assessment.replicas if not r.current})


def test_servers_get_the_shares_that_a_strategy_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "Weighing", weighing)
    before = scene([OLD, "@2 age=9"], "Weighing", replicas=1)
    made = plan(before.assessment, before.history, FRONT).operations
    assert [str(o) for o in made if isinstance(o, AddServer | SetWeight)] == [
        "add server web-2_______ at 10.0.0.3:8000 (ready)",
        "set weight 9 of server web-1_______ (stale)",
    ]
    file = next(o for o in made if isinstance(o, ConfigureProxy))
    assert file.weights == (("web-1_______", 9),)


def test_a_share_is_given_with_the_server_and_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "Weighing", weighing)
    ready = scene(["@1", "@1 starting age=9"], "Weighing", replicas=2, paused=True)
    assert "add server web-1_______ at 10.0.0.2:8000 with weight 9" in planned(ready)
    settled = scene([OLD + " weight=9", OLD + " weight=9"], "Weighing", replicas=2, paused=True)
    assert planned(settled) == []


def test_without_a_wish_every_server_goes_back_to_the_default() -> None:
    assert planned(scene([NEW + " weight=9"], replicas=1)) == ["set weight 1 of server web-1_______"]


def test_one_without_a_share_is_well_and_spares_no_other() -> None:
    """It takes no traffic, so that none of the others may leave in its favour; nor is it ill, or awaited."""
    made = scene([OLD, "@2 up age=9 weight=0"], replicas=1)
    (old, new) = made.assessment.replicas
    assert (new.phase, new.in_pool, new.taking_traffic, new.draining) == ("ready", True, False, False)
    done = plan(made.assessment, made.history, FRONT)
    assert not any(isinstance(o, DrainServer) for o in done.operations)
    assert done.waiting == ()
    assert old.taking_traffic
