"""What `vaultctl diff` says beside the differences."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.api.manifest import Manifest
from reconciler.app.preparing import Prepared
from reconciler.cli.verbs.diff import look_at
from reconciler.core.assess.judged import judge
from reconciler.core.assess.observed import EngineObserved, Observed, ProxyObserved
from reconciler.core.plan.operations import Plan
from reconciler.wiring import Application, Look
from tests.core.compose.test_forms import built


def test_what_only_the_engine_knows_of_an_image_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    stack = built()
    seen = EngineObserved(containers=(), volumes={"db:1": ("/data",)})
    judged = judge(stack, Observed(seen, ProxyObserved("x", None, {})), datetime(2026, 5, 1, tzinfo=UTC))
    application: Any = SimpleNamespace(look=lambda _: Look(judged, Plan(), ()))
    manifest: Any = SimpleNamespace(path=Path("files.yaml"), line=3, service=SimpleNamespace(name="files"))
    (look,) = look_at(cast("Application", application), [Prepared(cast("Manifest", manifest), stack)])
    assert look.judged is judged
    told = capsys.readouterr()
    assert "files.yaml:3: files: services.db: image db:1 declares /data as a volume" in told.err
    assert told.out == ""
