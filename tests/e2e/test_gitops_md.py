"""The ten commands of docs/gitops.md are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import until
from tests.sources.git_repository import PERSON

pytestmark = pytest.mark.docker

PAGE = Path(__file__).parents[2] / "docs" / "gitops.md"
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
STOP = """
CONTROLLER=$!
trap 'kill $CONTROLLER; wait $CONTROLLER' EXIT
"""
READY = "until vaultctl rollout status files; do sleep 1; done\n"


def commands() -> list[str]:
    """The commands of the page; one ends where its line and its here-document do."""
    text = "".join(COMMANDS.findall(PAGE.read_text()))
    return [match[0] for match in re.finditer(r"^.*<<'YAML'\n(?:.*\n)*?YAML$|^.+$", text, re.MULTILINE)]


def test_there_are_ten() -> None:
    assert len(commands()) == 10


def test_they_lead_to_a_converged_host(stage: Stage, tmp_path: Path) -> None:
    web = free_port()
    script = "set -euo pipefail\n"
    for command in commands():
        script += f"{command}\n"
        if command.endswith("&"):
            script += STOP
        if "scale" in command:
            script += f'until [ "$(docker ps -q -f label=com.docker.compose.project={stage.project} '
            script += '-f label=com.docker.compose.service=whoami | wc -l)" = 3 ]; do sleep 0.2; done\n'
    script += f"{READY}git log --format=%s\n"
    script = re.sub(r"\bfiles\b(?!\.yaml)", stage.name, script)
    script = script.replace("8080", str(stage.port))
    environ = {
        **os.environ,
        **{key: value for key, value in PERSON.items() if key.startswith("GIT_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VAULT_STATE_DIR": str(stage.state),
        "VAULT_LISTEN": f"127.0.0.1:{web}",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, third, second, first = done.stdout.splitlines()
    assert first == "Files, twice"
    assert second == f"scale({stage.name}): replicas 2 -> 3"
    assert third == f'Revert "{second}"'
    until("the controller is gone", lambda: not stage.application.controller_is_running())
