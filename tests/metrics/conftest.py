"""Prometheus' own tools, which check the rules and the configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Promtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def prometheus_programs() -> Path:
    """The directory of prometheus and promtool. In CI it is a failure not to have them."""
    done = subprocess.run(
        [ROOT / "scripts" / "prometheus"], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode and os.environ.get("CI"):
        pytest.fail(done.stderr)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def promtool(prometheus_programs: Path) -> Promtool:
    """Run promtool: `promtool("check", "rules", path, input="...")`."""

    def run(*arguments: str | Path, input: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [prometheus_programs / "promtool", *arguments],
            capture_output=True,
            text=True,
            input=input,
            timeout=60,
            check=False,
        )

    return run
