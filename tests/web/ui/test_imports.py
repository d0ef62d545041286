"""Without `--ui` nothing of the page is imported, nor what only it needs."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import reconciler.cli.serving, reconciler.cli.api_serving, reconciler.cli.verbs.run
names = ("reconciler.web.ui", "jinja2", "itsdangerous")
print(*(name for name in sys.modules if name.startswith(names)))
"""


def test_the_page_is_imported_only_when_it_is_served() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
