"""A vaultctl to call, with a state directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.api import (
    Condition,
    ConditionStatus,
    ConditionType,
    Metadata,
    Ports,
    Spec,
    Status,
    VaultService,
)
from reconciler.cli.root import root
from reconciler.cli.session import Session
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
Vaultctl = Callable[..., Result]
MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def objects(state: Path) -> ObjectStore:
    return ObjectStore(state)


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


@pytest.fixture
def make_service() -> MakeService:
    def make(name: str = "files", generation: int = 1, **spec: object) -> VaultService:
        settings = {"plugin": "whoami", "ports": Ports(http=8080), **spec}
        return VaultService(
            metadata=Metadata(name=name, generation=generation), spec=Spec.model_validate(settings)
        )

    return make


@pytest.fixture
def make_status() -> MakeStatus:
    def make(generation: int = 1, **conditions: tuple[ConditionStatus, str, str]) -> Status:
        return Status(
            observed_generation=generation,
            conditions=tuple(_condition(kind, *said, generation) for kind, said in conditions.items()),  # type: ignore[arg-type]
        )

    return make


def _condition(
    kind: ConditionType, status: ConditionStatus, reason: str, message: str, generation: int
) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=NOW,
        observed_generation=generation,
    )


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin("apply", "files.yaml", tmp_path / "files.yaml", 1)


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest and returns its path; keyword arguments are lines of its spec."""

    def write(name: str = "files", file: str = "", **spec: str) -> Path:
        lines = {"plugin": "whoami", **spec}
        path = tmp_path / (file or f"{name}.yaml")
        path.write_text(
            "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
            f"metadata:\n  name: {name}\nspec:\n" + "".join(f"  {k}: {v}\n" for k, v in lines.items())
        )
        return path

    return write
