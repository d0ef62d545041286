"""Results as JSON, from which docs/benchmarks.md and the picture are generated."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.page import page
from benchmarks.harness.row import Row, from_json, to_json
from tests.e2e.docker_cli import docker

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
BENCH: Final = "bench.json"
SOAK: Final = "soak.json"


def machine() -> dict[str, object]:
    """The machine and software of the measurement."""
    return {
        "cpus": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "engine": docker("version", "--format", "{{.Server.Version}}"),
        "compose": docker("compose", "version", "--short"),
        "python": platform.python_version(),
    }


def save_rows(about: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Store a whole run, and regenerate the page."""
    _write(BENCH, {**about, "rows": [to_json(row) for row in rows]})


def save_soak(soak: Mapping[str, Any]) -> None:
    """Store a soak, and regenerate the page."""
    _write(SOAK, soak)


def render() -> str:
    """The page of the stored results. Raises FileNotFoundError before the first whole run."""
    bench = json.loads((RESULTS / BENCH).read_text())
    soak = json.loads((RESULTS / SOAK).read_text()) if (RESULTS / SOAK).exists() else None
    return page(bench, [from_json(row) for row in bench["rows"]], soak)


def _write(name: str, data: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    if (RESULTS / BENCH).exists():
        PAGE.write_text(render())
