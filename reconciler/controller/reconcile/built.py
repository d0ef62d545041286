"""Keeps the stack of each service as long as all that it is built from stays the same.

Building is a function of values and of answers from outside: digests of files, where a path of the host leads, which of
two services was first. Each pass compares the values and asks the same questions again. If one is different, the stack is
built anew. So nothing has to tell when a kept stack is out of date.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from reconciler.core.desired.stack import Stack

__all__ = ["BuiltStacks"]

KEPT: Final = 1000
"""Services; the one that was built first is forgotten first."""

Question = Callable[..., Any]
Answer = tuple[str, tuple[Any, ...], Any]
"""The name of a question, its arguments, and what was answered."""


@dataclass(frozen=True, slots=True)
class _Built:
    values: tuple[Any, ...] = field(repr=False)
    answers: tuple[Answer, ...] = field(repr=False)
    stack: Stack


class BuiltStacks:
    """The last stack of each service. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: dict[str, _Built] = {}

    def stack(
        self,
        name: str,
        values: tuple[Any, ...],
        questions: Mapping[str, Question],
        build: Callable[..., Stack],
    ) -> Stack:
        """The stack of the service of this name: the kept one, or what `build` makes of `values`, with the `questions` as
        its named arguments. Raises what any of them raises.
        """
        known = self._built.get(name)
        if known is not None and known.values == values and _hold(known.answers, questions):
            return known.stack
        answers: list[Answer] = []
        stack = build(**{about: partial(_noted, answers, about, ask) for about, ask in questions.items()})
        with self._lock:
            self._built[name] = _Built(values, tuple(answers), stack)
            while len(self._built) > KEPT:
                del self._built[next(iter(self._built))]
        return stack


def _noted(answers: list[Answer], about: str, ask: Question, *arguments: Any) -> Any:
    answer = ask(*arguments)
    answers.append((about, arguments, answer))
    return answer


def _hold(answers: tuple[Answer, ...], questions: Mapping[str, Question]) -> bool:
    return all(questions[about](*arguments) == answer for about, arguments, answer in answers)
