"""Fixtures: small disks that are mounted for one test each, and the manifests and times that all tests here use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import VaultService, parse

Mount = Callable[[int], Path]
Written = Callable[..., VaultService]


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of that many KiB and returns where."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted: list[Path] = []

    def make(size: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k,mode=0711", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not allow mounting a small disk: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], timeout=10, check=True)


@pytest.fixture
def written() -> Written:
    """The VaultService `name`, read from a manifest with these lines in its spec."""

    def parsed(name: str, *lines: str, labels: str = "{}") -> VaultService:
        text = "\n  ".join(
            [
                f"apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {{name: {name}, labels: {labels}}}"
                "\nspec:",
                "plugin: whoami",
                *lines,
            ]
        )
        resource = parse(text, Path("test.yaml"))[0].resource
        assert isinstance(resource, VaultService)
        return resource

    return parsed
