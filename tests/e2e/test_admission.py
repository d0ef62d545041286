"""A service that asks for too much is refused, and what ran before goes on."""

from __future__ import annotations

import pytest

from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = pytest.mark.docker


def test_a_refusal_stops_nothing_and_names_the_way_out(stage: Stage) -> None:
    stage.write(replicas=1)
    with stage.controller():
        stage.converged()
        before = stage.replicas()
        stage.write(env={"WHOAMI_LEDGER_DIR": "/etc/cron.d"})
        until("it is Stalled", lambda: _stalled(stage)["status"] == "True")
        stalled = _stalled(stage)
        assert stalled["reason"] == "SpecInvalid"
        assert "services.whoami.volumes[0]: '/etc/cron.d'" in stalled["message"]
        assert "(host-path)" in stalled["message"]
        assert "--host-path" in stalled["message"]
        assert stage.get()[0] == 200
        assert stage.replicas() == before

        stage.write(env={"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        stage.converged()

    refused = stage.vaultctl("apply", "-f", _asking(stage, "privileged"), code=1).stderr
    assert f"--allow-privileged {stage.name}" in refused
    stage.vaultctl("--allow-privileged", stage.name, "diff", "-f", _asking(stage, "privileged"), code=0)


def _stalled(stage: Stage) -> dict[str, str]:
    conditions = stage.status()["conditions"]
    found: dict[str, str] = next(each for each in conditions if each["type"] == "Stalled")
    return found


def _asking(stage: Stage, profile: str) -> str:
    """A copy of the manifest that asks for this profile."""
    name = f"name: {stage.name}"
    asking = stage.manifest.read_text().replace(
        name, f"{name}\n  annotations: {{vault.internal/admission: {profile}}}"
    )
    copy = stage.root / f"{profile}.yaml"
    copy.write_text(asking)
    return str(copy)
