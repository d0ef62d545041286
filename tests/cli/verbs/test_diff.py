"""What `vaultctl diff` says beside the differences."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.manifest import Manifest
from reconciler.app.preparing import Prepared
from reconciler.cli.verbs.diff import previews, show_move
from reconciler.core.assess.assessment import assess
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import EngineObservation, Observation, ProxyObservation
from reconciler.core.plan.operations import Plan
from reconciler.core.plan.preview import Preview
from reconciler.engines.swarm.fit import Finding
from reconciler.wiring import Application
from tests.core.compose.test_forms import built


def test_what_only_the_engine_knows_of_an_image_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    stack = built()
    seen = EngineObservation(containers=(), volumes={"db:1": ("/data",)})
    assessment = assess(
        stack, Observation(seen, ProxyObservation("x", None, {})), datetime(2026, 5, 1, tzinfo=UTC)
    )
    application: Any = SimpleNamespace(preview=lambda _: Preview(assessment, History(), Plan()))
    manifest: Any = SimpleNamespace(
        path=Path("files.yaml"), line=3, resource=SimpleNamespace(ref=Ref(VAULT_SERVICE, "files"))
    )
    (preview,) = previews(cast("Application", application), [Prepared(cast("Manifest", manifest), stack)])
    assert isinstance(preview, Preview)
    assert preview.assessment is assessment
    told = capsys.readouterr()
    assert "files.yaml:3: files: services.db: image db:1 declares /data as a volume" in told.err
    assert told.out == ""


def test_what_differs_on_a_swarm_is_shown_and_sets_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Finding("services.web.pid", "nothing like it", True),
        Finding("volumes.data", "begins empty", False),
    ]
    manifest: Any = SimpleNamespace(resource=SimpleNamespace(ref=Ref(VAULT_SERVICE, "files")))
    wanted = [Prepared(cast("Manifest", manifest), built())]
    application: Any = SimpleNamespace(findings_on_a_swarm=lambda stack: found)
    with pytest.raises(SystemExit) as ended:
        show_move(application, wanted, None)
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "vaultservice/files:",
        "  refused: services.web.pid: nothing like it",
        "  differs: volumes.data: begins empty",
    ]
    found.clear()
    with pytest.raises(SystemExit) as ended:
        show_move(application, wanted, "json")
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == [{"object": "vaultservice/files", "findings": []}]
