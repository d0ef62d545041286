"""The commands of docs/from-compose.md are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.page_commands import DOCS, STOP, blocks, run
from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PAGE = DOCS / "from-compose.md"


def test_they_lead_to_a_service_that_follows_its_files(stage: Stage, tmp_path: Path) -> None:
    script = (
        "".join(blocks(PAGE)).replace("run -f . &\n", f"run -f . &\n{STOP}").replace("8080", str(stage.port))
    )
    script = re.sub(r"(status|history|name:) notes\b", rf"\1 {stage.name}", script)
    done = run(script, stage, tmp_path)
    assert "app/compose.yaml:2: services.app: is asked on port 8000" in done.stderr
    assert "services.cache.ports[0]: 6379 → 6379/tcp is not published on the host" in done.stderr
    history = done.stdout.splitlines()
    assert sum("compose.content" in line for line in history) == 1, done.stdout
    until("the controller is gone", lambda: not stage.application.controller_is_running())


def test_it_links_to_pages_that_there_are() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)", PAGE.read_text()):
        assert (PAGE.parent / target).is_file()
