"""The ten commands of docs/gitops.md are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.page_commands import DOCS, STOP, blocks, run
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import until
from tests.sources.git_repository import PERSON

pytestmark = pytest.mark.docker

PAGE = DOCS / "gitops.md"
READY = "until vaultctl rollout status files; do sleep 1; done\n"


def commands() -> list[str]:
    """The commands of the page; one ends where its line and its here-document do."""
    text = "".join(blocks(PAGE))
    return [match[0] for match in re.finditer(r"^.*<<'YAML'\n(?:.*\n)*?YAML$|^.+$", text, re.MULTILINE)]


def test_there_are_ten() -> None:
    assert len(commands()) == 10


def test_they_lead_to_a_converged_host(stage: Stage, tmp_path: Path) -> None:
    web = free_port()
    script = ""
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
    person = {key: value for key, value in PERSON.items() if key.startswith("GIT_")}
    done = run(script, stage, tmp_path, seconds=240.0, VAULT_LISTEN=f"127.0.0.1:{web}", **person)
    *_, third, second, first = done.stdout.splitlines()
    assert first == "Files, twice"
    assert second == f"scale({stage.name}): replicas 2 -> 3"
    assert third == f'Revert "{second}"'
    until("the controller is gone", lambda: not stage.application.controller_is_running())
