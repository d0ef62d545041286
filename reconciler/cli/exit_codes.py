"""The exit codes of `vaultctl`; scripts depend on them, so they change only with a major version."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
CHANGES: Final = 1
USAGE: Final = 2
TROUBLE: Final = 2
INTERRUPTED: Final = 130

MEANINGS: Final = (
    (
        OK,
        "done; `diff`: nothing differs; `run`: stopped by request (SIGTERM, Ctrl-C); `exec`: any code is the command's",
    ),
    (
        FAILED,
        "it failed, or is not Ready in time; `diff`: something differs; `doctor`, `plugin lint`: findings",
    ),
    (TROUBLE, "the command line is wrong; `diff`: it could not compare"),
    (INTERRUPTED, "interrupted by Ctrl-C, or a question was not answered"),
)
"""Every code and its meaning, for `vaultctl --help` and docs/cli.md."""
