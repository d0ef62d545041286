"""The commands of docs/swarm.md, from three machines to a service, on three engines that have never been in a Swarm."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.page_commands import DOCS
from tests.e2e.waiting import PATIENCE
from tests.swarm.installed import IMAGE
from tests.swarm.laboratory import CONTROLLER_STATE, NAMESPACES, Laboratory, Node, laboratory

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(900)]

TEXT = (DOCS / "swarm.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## From three machines") : TEXT.index("## What runs where")]
COMMANDS = re.findall(r"^(node[123]|controller)\$ (.*)$", SECTION, re.MULTILINE)
(MANIFEST,) = re.findall(r"^```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


def test_there_are_ten() -> None:
    assert len(COMMANDS) == 10


def test_the_commands_lead_to_a_service(tmp_path: Path) -> None:
    (tmp_path / "whoami.yaml").write_text(MANIFEST)
    with laboratory(("vault-reconciler/whoami:latest", "haproxy:3.0", IMAGE), joined=False) as lab:
        where, said = "", ""
        for place, command in COMMANDS:
            said = run(lab, where if place == "controller" else place, command, tmp_path)
            if found := re.search(r"^node: (\S+)$", said, re.MULTILINE):
                where = found[1]
            if "curl" in command:
                assert '"version"' in said
        assert len(set(re.findall(r"vault-whoami-whoami-\d+", said))) == 3


def run(lab: Laboratory, name: str, command: str, directory: Path) -> str:
    """What a command prints on a node of the laboratory, with its addresses and images."""
    node: Node = next(each for each in lab.nodes if each.name == name)
    for theirs, ours in (
        ("10.0.0.1", lab.first.address),
        ("vault-reconciler/controller:latest swarm install", f"{IMAGE} swarm install --image {IMAGE}"),
        ("vault-reconciler/controller:latest", IMAGE),
        (" swarm install", f" --state-dir {CONTROLLER_STATE} swarm install"),
    ):
        command = command.replace(theirs, ours)
    done = subprocess.run(
        ["nsenter", f"--net={NAMESPACES / node.namespace}", "bash", "-ec", command],
        cwd=directory,
        env={**os.environ, "DOCKER_HOST": node.host},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{name}$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout
