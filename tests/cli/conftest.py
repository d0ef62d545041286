"""A vaultctl to call, with a state directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli.root import root
from reconciler.cli.session import Session
from tests.stored import make_service, make_status, manifest, objects, origin, state

__all__ = ["make_service", "make_status", "manifest", "objects", "origin", "state"]

Vaultctl = Callable[..., Result]


@pytest.fixture
def vaultctl(state: Path) -> Vaultctl:
    """Runs a command line in this process; `result.stdout`, `result.stderr` and `result.exit_code` tell the rest."""

    def run(*arguments: str | Path, input: str | None = None, session: Session | None = None) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(root, words, obj=session or Session(state_dir=state), input=input)

    return run


@pytest.fixture
def process(state: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command line in a process of its own, as a shell does."""

    def run(
        *arguments: str | Path, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reconciler.cli", *map(str, arguments)],
            input=input,
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "VAULT_STATE_DIR": str(state), **(env or {})},
            check=False,
        )

    return run
