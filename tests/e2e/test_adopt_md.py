"""The commands of docs/adopt.md are run as they stand there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.docker_cli import remove_project
from tests.e2e.page_commands import DOCS, blocks, run
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PAGE: Final = DOCS / "adopt.md"


def test_they_lead_there_and_back(stage: Stage, tmp_path: Path) -> None:
    project = f"shop-{stage.name}"
    script = "".join(blocks(PAGE)).replace("8080", str(stage.port))
    # The names of the project and of the service are those of its directory.
    script = re.sub(r"\bshop\b", project, script)
    vaultctl = tmp_path / "vaultctl"
    vaultctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler.cli "$@"\n')
    vaultctl.chmod(0o755)
    python_path = os.pathsep.join(filter(None, (str(PAGE.parents[1]), os.environ.get("PYTHONPATH"))))
    path = f"{tmp_path}:{os.environ['PATH']}"
    try:
        done = run(script, stage, tmp_path, PATH=path, PYTHONPATH=python_path)
        assert done.stdout.count("4711\n") == 2, "the row is there after the adoption and after the release"
        assert f"keeps volumes: {project}_data" in done.stdout
    finally:
        remove_project(project)
        remove_project(f"vault-{project}")


def test_it_links_to_pages_that_there_are() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)", PAGE.read_text()):
        assert (PAGE.parent / target).is_file()
