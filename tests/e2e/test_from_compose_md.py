"""The commands of docs/from-compose.md are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PAGE = Path(__file__).parents[2] / "docs" / "from-compose.md"
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
MINUTES = 5


def test_they_lead_to_a_service_that_follows_its_files(stage: Stage, tmp_path: Path) -> None:
    script = "set -euo pipefail\n" + "".join(COMMANDS.findall(PAGE.read_text()))
    script = script.replace(
        "run -f . &\n", "run -f . &\nCONTROLLER=$!\ntrap 'kill $CONTROLLER; wait $CONTROLLER' EXIT\n"
    )
    script = script.replace("8080", str(stage.port))
    script = re.sub(r"(status|history|name:) notes\b", rf"\1 {stage.name}", script)
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VAULT_STATE_DIR": str(stage.state),
        "VAULT_LISTEN": "127.0.0.1:0",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=MINUTES * 60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "app/compose.yaml:2: services.app: is asked on port 8000" in done.stderr
    assert "services.cache.ports[0]: 6379 → 6379/tcp is not published on the host" in done.stderr
    history = done.stdout.splitlines()
    assert sum("compose.content" in line for line in history) == 1, done.stdout
    until("the controller is gone", lambda: not stage.application.controller_is_running())


def test_it_links_to_pages_that_there_are() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)", PAGE.read_text()):
        assert (PAGE.parent / target).is_file()
