"""`vaultctl`: what people and scripts type.

Every verb is one file in `verbs/` and is imported only when it is called, so that a short answer is also a quick
one. What verbs share (global options, errors, output formats, waiting) is here, one noun per file; what they do is
done below, behind `reconciler.wiring`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the verb that the command line names, and exit with one of the codes of `exit_codes.py`."""
    from reconciler.cli.root import run

    sys.exit(run(sys.argv[1:]))
