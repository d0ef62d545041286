"""What the exit status of `vaultctl` means; scripts depend on it, so it changes only with a major version."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
CHANGES: Final = 1
USAGE: Final = 2
TROUBLE: Final = 2
INTERRUPTED: Final = 130

MEANINGS: Final = (
    (OK, "done; `diff`: nothing differs; `run`: stopped as it was asked to (SIGTERM, Ctrl-C)"),
    (
        FAILED,
        "it failed, or is not Ready in time; `diff`: something differs; `doctor`, `plugin lint`: findings",
    ),
    (TROUBLE, "the command line is wrong; `diff`: it could not compare"),
    (INTERRUPTED, "interrupted by Ctrl-C, or a question was not answered"),
)
"""Every code and what it says, for `vaultctl --help` and docs/cli.md."""
