"""Nothing of the Kubernetes API is imported by a controller that does not serve it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from reconciler.cli.root import root
from reconciler.cli.session import Session
from reconciler.controller.loop.manager import Controller

# The controller is made and served as always; only its loop ends at once.
Controller.run = lambda self, stop: print("ran", len(sys.modules))
root(["run", "--listen", "127.0.0.1:0"], obj=Session(Path(sys.argv[1])), standalone_mode=False)
beginnings = (
    "reconciler.web.kube",
    "reconciler.app.cluster",
    "reconciler.certificates.serving",
    "joserfc",
    *("reconciler.store." + name for name in ("audit", "observer", "tokens", "users", "versions")),
)
found = [name for name in sys.modules if name.startswith(beginnings)]
assert not found, found
"""


def test_nothing_is_imported_without_the_option(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ran ")
