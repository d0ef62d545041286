"""The run time of `vaultctl version`, `get` and `diff`, compared with Compose's commands.

    .venv/bin/python benchmarks/commands.py

Whole processes, from start to exit. `diff` queries the engine and HAProxy; `docker compose config` only reads a file, but
is the closest command of Compose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.lab import Lab
from benchmarks.harness.rounds import alternate, command
from benchmarks.harness.row import SECONDS, Goal, Row
from tests.e2e.stage import staged

ROUNDS: Final = 11
REPLICAS: Final = 3
PAIRS: Final = {"version": "version", "get": "ps", "diff": "config"}
GOAL: Final = Goal(ratio_at_most=1.5)


def rows(lab: Lab) -> Iterator[Row]:
    """One row for each command."""
    with staged(plugin="whoami", replicas=REPLICAS) as stage:
        stage.apply()
        env = os.environ | stage.env
        vaultctl = (str(Path(sys.executable).with_name("vaultctl")), "--state-dir", str(stage.state))
        file = stage.state / "services" / stage.name / "compose.yaml"
        compose = ("docker", "compose", "--project-name", stage.project, "--file", str(file))
        arguments = {"version": (), "get": (), "diff": ("-f", str(stage.manifest))}
        candidates = {verb: command(*vaultctl, verb, *arguments[verb], env=env) for verb in PAIRS}
        candidates |= {f"compose {peer}": command(*compose, peer, env=env) for peer in PAIRS.values()}
        seconds = alternate(candidates, ROUNDS)
    limit = f"a Python that does nothing: {lab.interpreter_seconds * 1000:.0f} ms"
    for verb, peer in PAIRS.items():
        theirs = seconds[f"compose {peer}"]
        yield Row(
            f"`vaultctl {verb}`", SECONDS, seconds[verb], limit, f"`docker compose {peer}`", theirs, GOAL
        )


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
