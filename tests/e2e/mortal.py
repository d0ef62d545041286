"""`vaultctl`, but the process kills itself right before or right after the first operation of one kind was carried out.

    python -m tests.e2e.mortal after StopContainer run -f manifests/

After it is the worst moment there is: the world has changed, and nobody was told. Nothing of this is in the product.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum

from reconciler.cli import main
from reconciler.controller.reconcile import executor
from reconciler.core.plan.operations import Operation

CarryOut = Callable[[tuple[Operation, ...]], None]


class When(StrEnum):
    """On which side of an operation the process dies."""

    BEFORE = "before"
    AFTER = "after"


def mortal(when: When, kind: str) -> None:
    """From now on, an operation of this kind is the first thing that this process does not do, or the last that it does."""

    def or_die(carry_out: CarryOut) -> CarryOut:
        def carry_out_or_die(batch: tuple[Operation, ...]) -> None:
            here = any(operation.kind == kind for operation in batch)
            if here and when is When.BEFORE:
                _die()
            carry_out(batch)
            if here:
                _die()

        return carry_out_or_die

    execute = executor._execute
    executor._execute = lambda operations, carry_out, *others: execute(operations, or_die(carry_out), *others)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    mortal(When(sys.argv.pop(1)), sys.argv.pop(1))
    main()
