"""`vaultctl`, the command line.

Every verb is one file in `verbs/` and is imported only when it is called, so that short commands are fast. Shared code
(global options, errors, output formats, waiting) is here, one noun per file; the work is done by the layers behind
`reconciler.wiring`.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the verb of the command line, and exit with one of the codes of `exit_codes.py`."""
    from reconciler.cli import garbage
    from reconciler.cli.memory import forbid_core_dumps

    forbid_core_dumps()
    garbage.collect_rarely()
    # Pydantic would search the installed distributions for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from reconciler.cli.root import run

    code = run(sys.argv[1:])
    garbage.keep_all()
    sys.exit(code)
