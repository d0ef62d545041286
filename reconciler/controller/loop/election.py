"""Which controller acts, where several could: the one that holds a lease, as long as it can be sure of that.

A holder writes the lease every few seconds. It begins operations for ACT_SECONDS after the beginning of its last successful
write, and the calls that it has begun end within LEASE_SECONDS. Another controller takes the lease after it has seen it
unchanged for longer than that. Each measures with its own clock, which is not set: wall clocks are never compared. Where
there was never a lease, nothing is waited for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from reconciler.api import PermanentError, TemporaryError, VaultError
from reconciler.api.reasons import Reason
from reconciler.engines.lease import Lease, LeaseRecord

__all__ = ["ACT_SECONDS", "LEASE_SECONDS", "Election", "Entry", "StandbyError", "boot_clock"]

LEASE_SECONDS: Final = 15.0
ACT_SECONDS: Final = 10.0
"""After this long without a write, no operation is begun; those under way have the rest of LEASE_SECONDS to end."""
PATIENCE_SECONDS: Final = LEASE_SECONDS * 1.05
"""For how long a lease has to be unchanged before another controller takes it: clocks of machines may run differently."""
RENEW_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 1.0
"""Between two looks of a controller that does not hold the lease."""

_log = logging.getLogger(__name__)


class StandbyError(TemporaryError):
    """This controller must not act now."""

    reason = Reason.STANDBY


class Entry(Protocol):
    """What lets one process of a state directory take part."""

    def enter(self) -> tuple[str, str]:
        """An identity that no other controller has, the same after a restart, and the name of this node. Raises VaultError
        while another process takes part.
        """

    def leave(self) -> None:
        """Another process may take part."""


def boot_clock() -> float:
    """Seconds since the machine was started, with the time that it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _nothing(*_: object) -> None:
    """For an election that only says who acts."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The lease as it was read, and since when it has been so."""

    lease: Lease | None
    since: float


class Election:
    """One controller's part in it. One thread calls `step`; all others may ask whether this controller acts.

    Before the first step, `gained` can be set to what prepares this controller after another one may have acted; it may
    raise VaultError. `changed` is told when this controller begins or ceases to act, and why.
    """

    def __init__(self, record: LeaseRecord, entry: Entry, clock: Callable[[], float] = boot_clock) -> None:
        self._record = record
        self._entry = entry
        self._clock = clock
        self.gained: Callable[[], None] = _nothing
        self.changed: Callable[[bool, str], None] = _nothing
        self._identity = self._node = ""
        self._seen: _Seen | None = None
        self._written = float("-inf")
        self._term = self._highest = 0
        self._is_marked = False
        self._told: bool | None = None
        self._problem = ""
        self.rival = ""
        """The node of another controller that was seen to renew the lease; empty otherwise."""
        self._is_lasting = False

    # Asked by all threads

    @property
    def acts(self) -> bool:
        """Whether this controller may begin an operation now."""
        return self._left(ACT_SECONDS) > 0

    @property
    def is_over(self) -> bool:
        """Whether this controller has acted, and no call that it has begun may be under way any more."""
        return self._written > float("-inf") and self._left(LEASE_SECONDS) <= 0

    @property
    def holder(self) -> str:
        """The node of the controller that holds the lease, as far as this one knows; empty if none does."""
        lease = self._seen.lease if self._seen else None
        if self.acts:
            return self._node
        return lease.node if lease and lease.holder != self._identity else ""

    @property
    def term(self) -> int:
        """How many holders there were, this one included, while it acts; else 0."""
        return self._term if self.acts else 0

    def require(self) -> float:
        """For how many seconds a call that begins now may last. Raises StandbyError if none may begin."""
        if not self.acts:
            raise StandbyError(self.explanation, LEASE_SECONDS)
        return self._left(LEASE_SECONDS)

    @property
    def explanation(self) -> str:
        """Who acts, or why none is known to."""
        if self.acts:
            return f"this controller, on {self._node}, holds the lease of the Swarm (term {self._term})"
        if self._problem:
            return f"it is not known who holds the lease of the Swarm: {self._problem}"
        if holder := self.holder:
            return f"the controller on {holder} holds the lease of the Swarm"
        return "no controller holds the lease of the Swarm yet"

    @property
    def is_hopeless(self) -> bool:
        """Whether this controller will not act soon: another one was seen to, or a person has to repair something."""
        return bool(self.rival) or self._is_lasting

    def _left(self, seconds: float) -> float:
        return self._written + seconds - self._clock() if self._term else 0.0

    # Called by one thread

    def run(self, stop: threading.Event) -> None:
        """Take part until `stop` is set; what this controller holds then, it still holds."""
        while not stop.wait(self.step()):
            pass

    def step(self) -> float:
        """Look at the lease and write it if that is due; returns the seconds until the next step."""
        try:
            if not self._identity:
                self._identity, self._node = self._entry.enter()
            self._look()
            self._problem, self._is_lasting = "", False
        except VaultError as error:
            # The holder cannot renew it meanwhile either, so this time does not count against it.
            self._seen = None
            self._problem, self._is_lasting = str(error), isinstance(error, PermanentError)
        self._tell()
        return RENEW_SECONDS if self.acts else LOOK_SECONDS

    def give_back(self) -> None:
        """Let another controller take the lease at once. No call of this one may be under way any more."""
        held, self._term = self._term, 0
        try:
            # A process that was started after this one has its identity, and another term.
            if (
                held
                and (lease := self._record.read())
                and (lease.holder, lease.term) == (self._identity, held)
            ):
                self._record.write(lease, "", "", lease.term)
        except VaultError as error:
            _log.warning("the lease of the Swarm is not given back and has to end by itself: %s", error)
        if self._identity:
            self._identity = ""
            self._entry.leave()
        self._told = False

    def _look(self) -> None:
        lease, now = self._record.read(), self._clock()
        is_foreign = lease is not None and lease.holder not in ("", self._identity)
        if is_foreign:
            # Also if this controller took the lease for its own until now.
            self._term = 0
        if self._seen is None or self._seen.lease != lease:
            is_renewed = self._seen is not None and is_foreign and _is_renewal(self._seen.lease, lease)
            self.rival = lease.node if is_renewed and lease else ""
            self._seen = _Seen(lease, now)
        is_free = not is_foreign if lease is not None else self._is_first()
        if is_free or now - self._seen.since >= PATIENCE_SECONDS:
            self._write(lease)

    def _is_first(self) -> bool:
        """Whether no controller can be at work: not where a lease was removed."""
        if self._is_marked:
            return False
        is_first = self._record.is_first()
        self._is_marked = True
        return is_first

    def _write(self, lease: Lease | None) -> None:
        # Agents obey no earlier term than they have seen, also of a lease that was made anew.
        former = self._highest = max(self._highest, lease.term if lease else 0)
        is_mine = lease is not None and lease.holder == self._identity and self._term == former
        term, begun = former if is_mine else former + 1, self._clock()
        if not self._record.write(lease, self._identity, self._node, term):
            return
        if not is_mine:
            self.gained()
            # The lease of an earlier release has no mark.
            self._is_first()
        self._written, self._term, self._highest = begun, term, term

    def _tell(self) -> None:
        if (acts := self.acts) != self._told:
            self._told = acts
            self.changed(acts, self.explanation)


def _is_renewal(before: Lease | None, after: Lease | None) -> bool:
    return before is not None and after is not None and before.holder == after.holder
