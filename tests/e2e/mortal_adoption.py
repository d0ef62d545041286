"""`vaultctl adopt`, killed around the moment at which its first step is recorded.

    python -m tests.e2e.mortal_adoption before adopt shop --yes

Before it the step is taken and not recorded; after it the next one has not begun. Nothing of this is in the product.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

from reconciler.cli import main
from reconciler.core.adoption.record import Adoption
from reconciler.store.adoptions import AdoptionStore

FIRST_STEP: Final = 2
"""The first write says what is about to be done."""


def mortal(when: str) -> None:
    """From now on, this process dies at the second record, or at the removal of it."""
    put, remove, count = AdoptionStore.put, AdoptionStore.remove, 0

    def put_and_die(self: AdoptionStore, record: Adoption) -> None:
        nonlocal count
        count += 1
        if count == FIRST_STEP and when == "before":
            _die()
        put(self, record)
        if count == FIRST_STEP:
            _die()

    def remove_and_die(self: AdoptionStore, name: str) -> None:
        if when == "after":
            remove(self, name)
        _die()

    AdoptionStore.put = put_and_die  # type: ignore[method-assign]
    AdoptionStore.remove = remove_and_die  # type: ignore[method-assign]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    mortal(sys.argv.pop(1))
    main()
