"""Threads of a simulation, on its clock: one of them runs at a time, and waiting is what gives another one its turn.

So what two controllers do side by side is the same for the same seed, and an hour of waiting costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, TypeAlias

from greenlet import GreenletExit, getcurrent, greenlet

__all__ = ["Turn", "Turns"]

Turn: TypeAlias = greenlet


class Turns:
    """The clock, in seconds, and all threads of one history. The thread that made it is one of them."""

    def __init__(self) -> None:
        self.now: float = 0.0
        self._main: Final = getcurrent()
        self._order = count()
        self._queue: list[tuple[float, int, Turn]] = []
        self._due: dict[Turn, tuple[float, int]] = {}
        self._idle: set[Turn] = set()
        self._is_closed = False

    @property
    def current(self) -> Turn:
        """The thread that runs."""
        return getcurrent()

    def begin(self, run: Callable[[], None]) -> Turn:
        """Start a thread. What it raises is raised in the thread that made this clock."""

        def live() -> None:
            try:
                run()
            except GreenletExit:
                return
            except BaseException as error:
                self._main.throw(error)
            self._due.pop(turn, None)
            self._give_away()

        turn = greenlet(live, self._main)
        self._enter(turn, self.now)
        return turn

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so long."""
        self._wait(self.now + max(0.0, seconds))

    def rest_until(self, moment: float) -> None:
        """Let the others go on until then, or until `wake`."""
        me = getcurrent()
        self._idle.add(me)
        self._wait(max(self.now, moment))
        self._idle.discard(me)

    def wake(self, turn: Turn) -> None:
        """Have one go on now that rests; what sleeps is left alone."""
        if turn in self._idle:
            self._enter(turn, self.now)

    def end(self, turn: Turn) -> None:
        """Have a thread end where it is."""
        self._due.pop(turn, None)
        self._idle.discard(turn)
        if not turn.dead:
            turn.parent = getcurrent()
            turn.throw()

    def fail(self, error: BaseException) -> None:
        """Raise this in the thread that made this clock; the thread that calls goes on no more."""
        if getcurrent() is self._main:
            raise error
        self._main.throw(error)

    def close(self) -> None:
        """End all of them."""
        self._is_closed = True
        for turn in [each for each in self._due if each is not self._main]:
            with suppress(Exception):
                self.end(turn)

    def _wait(self, moment: float) -> None:
        if self._is_closed:
            raise GreenletExit
        self._enter(getcurrent(), moment)
        self._give_away()

    def _enter(self, turn: Turn, moment: float) -> None:
        entry = self._due[turn] = (moment, next(self._order))
        if moment < inf:
            heappush(self._queue, (*entry, turn))

    def _give_away(self) -> None:
        while True:
            moment, number, turn = heappop(self._queue)
            if self._due.get(turn) == (moment, number):
                break
        self.now = max(self.now, moment)
        if turn is not getcurrent():
            turn.switch()
