"""Calls that wait for others, side by side: one that gets no answer does not delay the others.

A call brings its own deadline. All of them together last as long as the slowest one, or as several where there are more
calls than threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, Protocol, TypeVar

__all__ = ["AT_ONCE", "Abreast", "one_by_one", "side_by_side"]

AT_ONCE: Final = 16
"""Threads of one call of side_by_side."""

T = TypeVar("T")
R = TypeVar("R")


class Abreast(Protocol):
    """Makes a call for each item, and gives the answers in the order of the items. Every call is made, also after one that
    failed; then the first error in this order is raised.
    """

    def __call__(self, call: Callable[[T], R], items: Iterable[T], /) -> list[R]:
        """See Abreast."""


def side_by_side(call: Callable[[T], R], items: Iterable[T], /, at_once: int = AT_ONCE) -> list[R]:
    """Implements Abreast with threads, which log and measure for the pass of this one; a single item needs none."""
    asked = tuple(items)
    if len(asked) < 2:
        return [call(each) for each in asked]
    with ThreadPoolExecutor(min(len(asked), at_once), thread_name_prefix="side by side") as pool:
        answers = [pool.submit(copy_context().run, call, each) for each in asked]
    return [answer.result() for answer in answers]


def one_by_one(call: Callable[[T], R], items: Iterable[T], /) -> list[R]:
    """Implements Abreast in this thread, for what is in memory: there is nothing to wait for, and the order is the same
    each time.
    """
    answers: list[R] = []
    errors: list[Exception] = []
    for each in items:
        try:
            answers.append(call(each))
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return answers
