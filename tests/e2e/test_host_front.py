"""A service whose HAProxy opens the port of the host itself, and one that comes to that and goes back."""

from __future__ import annotations

import time
from typing import Final

import pytest

from tests.e2e.docker_cli import containers, inspect
from tests.e2e.load import Load, read_ledger
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until

ON_HOST: Final = {"network": "host"}
PUBLISHED: Final = {"network": "published"}
SOME: Final = 50.0
"""Requests a second."""
CLOSED_SECONDS: Final = 20.0
"""Longer than the port is closed while it changes hands; on a quiet machine that is about two seconds."""

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


@pytest.mark.parametrize(("before", "after"), [(PUBLISHED, ON_HOST), (ON_HOST, PUBLISHED)])
def test_a_change_of_the_network_closes_the_port_for_some_seconds(
    before: dict[str, str], after: dict[str, str]
) -> None:
    """Two processes cannot open the same port, so what is under way then is lost. No replica is replaced."""
    with staged(plugin="whoami", replicas=2, proxy=before) as stage, stage.controller():
        stage.write(env={"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        stage.converged()
        replicas = set(stage.replicas())
        with Load(stage.port, rate=SOME, patience=CLOSED_SECONDS) as load:
            changed = time.monotonic()
            stage.write(proxy=after)
            until("it is there", lambda: _network(stage) == after["network"])
            stage.converged()
            opened = time.monotonic()
        late = [str(shot) for shot in load.lost if not changed - 3 < shot.began < opened]
        assert not late
        ids = [shot.id for shot in load.shots if shot.kind.method == "POST"]
        ledger = read_ledger(stage.ledger)
        assert not [each for each in ids if ledger.count(each) > 1]
        assert set(stage.replicas()) == replicas
        assert bool(containers(stage.project, "gateway")) == (after == PUBLISHED)


def _network(stage: Stage) -> str:
    """Where its HAProxies live, if that is one place."""
    modes = {str(inspect(each)["HostConfig"]["NetworkMode"]) for each in stage.proxies()}
    return {"host": "host"}.get(modes.pop(), "published") if len(modes) == 1 else ""
