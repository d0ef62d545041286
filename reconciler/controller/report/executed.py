"""One call of the executor, as recorded in the history, the log and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.api.errors import VaultError
    from reconciler.core.plan.operations import Operation


@dataclass(frozen=True, slots=True)
class Executed:
    """One call that was made: the operations that it carried out, its length in seconds, and its error, if any."""

    operations: tuple[Operation, ...]
    seconds: float
    error: VaultError | None = None
