"""`vaultctl`, but the process kills itself right after the first operation of one kind was carried out.

    python -m tests.e2e.mortal StopContainer run -f manifests/

The worst moment there is: the world has changed, and nobody was told. Nothing of this is in the product.
"""

from __future__ import annotations

import os
import signal
import sys

from reconciler.cli import main
from reconciler.controller import executor
from reconciler.core.plan import Operation
from reconciler.core.stack import Stack
from reconciler.engines.base import Engine
from reconciler.proxy.base import Proxy


def mortal(kind: str) -> None:
    """From now on, an operation of this kind is the last thing that this process does."""
    carry_out = executor._carry_out

    def carry_out_and_die(stack: Stack, batch: tuple[Operation, ...], engine: Engine, proxy: Proxy) -> None:
        carry_out(stack, batch, engine, proxy)
        if batch[0].kind == kind:
            os.kill(os.getpid(), signal.SIGKILL)

    executor._carry_out = carry_out_and_die


if __name__ == "__main__":
    mortal(sys.argv.pop(1))
    main()
