"""`vaultctl`, on a machine whose clocks are an hour ahead: `python -m tests.swarm.ahead run -f manifests/`.

The wall clock of a process cannot be set for it alone, so what the controller asks for the time is replaced. Its clocks
since the start of the machine are those of the time namespace that the test starts it in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from reconciler.cli import main
from reconciler.wiring import application, parts

AHEAD: Final = timedelta(hours=1)

_utc_now = parts.utc_now


def an_hour_ahead() -> datetime:
    """The wall clock of this machine."""
    return _utc_now() + AHEAD


if __name__ == "__main__":
    for module in (parts, application):
        vars(module)["utc_now"] = an_hour_ahead
    main()
