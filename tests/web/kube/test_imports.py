"""Nothing of the Kubernetes API is imported by a controller that does not serve it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import reconciler.cli.serving, reconciler.cli.verbs.run, reconciler.wiring, reconciler.controller.loop.manager
found = [name for name in sys.modules if name.startswith(("reconciler.web.kube", "reconciler.app.cluster"))]
assert not found, found
"""


def test_nothing_is_imported_without_the_option() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
