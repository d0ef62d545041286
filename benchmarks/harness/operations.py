"""Start times of operations, from the controller's log: one JSON line for each, written at its end with its duration."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from benchmarks.harness.contestants import DEADLINE, RefusedError

JOURNAL: Final = "reconciler.controller.report.journal"
LOOK_SECONDS: Final = 0.01


@dataclass
class OperationLog:
    """The log of a `vaultctl --log-format json run`; existing lines are skipped."""

    path: Path

    def __post_init__(self) -> None:
        self._position = self.path.stat().st_size

    def first_after(self, moment: float) -> float:
        """Wall-clock seconds at which the first operation after `moment` began. Raises RefusedError when none comes."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            begun = [began for began in self._news() if began > moment]
            if begun:
                return min(begun)
            time.sleep(LOOK_SECONDS)
        raise RefusedError("the controller started no operation")

    def _news(self) -> list[float]:
        with self.path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        whole = text.rpartition(b"\n")[0]
        self._position += len(whole) + 1 if whole else 0
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [_began(line) for line in lines if line["logger"] == JOURNAL and "seconds" in line]


def _began(line: dict[str, object]) -> float:
    ended = datetime.fromisoformat(str(line["time"]).replace("Z", "+00:00")).timestamp()
    return ended - float(str(line["seconds"]))
