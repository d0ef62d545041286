"""Runs a fault of the engine in a separate network namespace: `python -m tests.chaos.apart ROOT NAME`, in `unshare`.

Prints the outcome as the last line, after messages for users.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.chaos.engine import ENGINE_FAULTS
from tests.chaos.fault import Fault
from tests.chaos.ordeal import live_through
from tests.chaos.private_engine import private_engine
from tests.e2e.outcome import Outcome

SECONDS: Final = 400.0


def live_through_apart(fault: Fault, root: Path) -> Outcome:
    """As `live_through`, on a private engine below `root`. Raises RuntimeError with the output."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.chaos.apart", str(root), fault.name],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{fault}:\n{done.stdout}{done.stderr}")
    return Outcome.loaded(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    (wanted,) = [fault for fault in ENGINE_FAULTS if fault.name == sys.argv[2]]
    assert wanted.daemon is not None
    with private_engine(Path(sys.argv[1]), wanted.daemon) as own:
        print(json.dumps(asdict(live_through(wanted, own))))
