"""Fixtures of what is stored: objects of a state directory, services and statuses made of a few words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import (
    Condition,
    ConditionStatus,
    ConditionType,
    Manifest,
    Metadata,
    Ports,
    Spec,
    Status,
    VaultService,
)
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

__all__ = [
    "MakeService",
    "MakeStatus",
    "make_service",
    "make_status",
    "manifest",
    "objects",
    "origin",
    "service_of",
    "state",
]

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]


def service_of(manifest: Manifest) -> VaultService:
    """The resource of a manifest that is about a VaultService."""
    assert isinstance(manifest.resource, VaultService)
    return manifest.resource


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def objects(state: Path) -> ObjectStore:
    return ObjectStore(state)


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
