"""The commands of docs/adopt.md are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.docker_cli import remove_project
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PAGE: Final = Path(__file__).parents[2] / "docs" / "adopt.md"
COMMANDS: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
MINUTES: Final = 5


def test_they_lead_there_and_back(stage: Stage, tmp_path: Path) -> None:
    project = f"shop-{stage.name}"
    script = "set -euo pipefail\n" + "".join(COMMANDS.findall(PAGE.read_text()))
    script = script.replace("8080", str(stage.port))
    # The names of the project and of the service are those of its directory.
    script = re.sub(r"\bshop\b", project, script)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "VAULT_STATE_DIR": str(stage.state),
    }
    vaultctl = tmp_path / "vaultctl"
    vaultctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler.cli "$@"\n')
    vaultctl.chmod(0o755)
    environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(PAGE.parents[1]), os.environ.get("PYTHONPATH")))
    )
    try:
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
        assert done.stdout.count("4711\n") == 2, "the row is there after the adoption and after the release"
        assert f"keeps volumes: {project}_data" in done.stdout
    finally:
        remove_project(project)
        remove_project(f"vault-{project}")


def test_it_links_to_pages_that_there_are() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)", PAGE.read_text()):
        assert (PAGE.parent / target).is_file()
