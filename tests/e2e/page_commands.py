"""The commands of a page of docs/, run as they stand there but for ports and names that a test has to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.e2e.stage import Stage

__all__ = ["DOCS", "STOP", "blocks", "run"]

DOCS: Final = Path(__file__).parents[2] / "docs"
STOP: Final = "CONTROLLER=$!\ntrap 'kill $CONTROLLER; wait $CONTROLLER' EXIT\n"
"""After a command that is a controller in the background: it ends with the script."""
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    """The blocks of commands of the page, in order."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def run(
    script: str, stage: Stage, directory: Path, *, seconds: float = 300.0, **environ: str
) -> subprocess.CompletedProcess[str]:
    """What bash says to a script, within `seconds`. It ends at its first failure, which fails the test; `vaultctl` is that
    of the tests, with the stage's state.
    """
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=directory,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "VAULT_STATE_DIR": str(stage.state),
            "VAULT_LISTEN": "127.0.0.1:0",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
