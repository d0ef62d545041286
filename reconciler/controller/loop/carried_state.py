"""Files of the state directory as what is kept of a controller, and what is told when they cannot follow it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, Protocol

from reconciler.api import PermanentError
from reconciler.api.reasons import Reason
from reconciler.store.base import Records

__all__ = ["FILE", "CarriedState", "Files"]

FILE: Final = "carried.json"
"""What was the same on both sides, in the state directory."""
LOSSES: Final = {
    "agents": "agents of nodes are deployed and enrolled again",
    "logins": "users, their sessions and tokens are gone: set passwords and create tokens again",
    "api": "clients of the API need another kubeconfig",
    "gateway": "certificates of gateways are ordered or made again",
}
"""What it means that a content is lost, by the first word of its label."""

_log = logging.getLogger(__name__)


class Files(Protocol):
    """The files, by the labels of their contents."""

    def labels(self) -> Collection[str]:
        """Of the contents that are here."""

    def content(self, label: str) -> bytes | None:
        """One of them; None if it is not here."""

    def restore(self, label: str, content: bytes) -> bool:
        """Write it, and whether there is a place for it. Raises PermanentError for what is no content of this label."""

    def remove_order(self, label: str) -> bool:
        """Remove an unfinished order of a certificate; whether this is one."""


class CarriedState:
    """Implements Contents. `records` are told, of the whole machine, what does not follow."""

    def __init__(self, files: Files, records: Records, now: Callable[[], datetime]) -> None:
        self._files = files
        self._records = records
        self._now = now

    def labels(self) -> Collection[str]:
        """See Contents.labels."""
        return self._files.labels()

    def content(self, label: str) -> bytes | None:
        """See Contents.content."""
        return self._files.content(label)

    def check(self, label: str, content: bytes) -> None:
        """See Contents.check: it is encrypted, so all of it may be kept."""

    def refused(self, label: str, error: PermanentError) -> None:
        """See Contents.refused."""
        self._tell(Reason.STATE_NOT_KEPT, f"a controller on another node will not have it: {error}")

    def restore(self, label: str, content: bytes, *, was_here: bool, was_changed: bool) -> None:
        """See Contents.restore."""
        try:
            has_place = self._files.restore(label, content)
        except PermanentError as error:
            self._tell(Reason.STATE_LOST, f"{error}; {_meaning([label])}")
            return
        if has_place and was_changed:
            self._tell(
                Reason.STATE_REPLACED,
                f"{label}: what was changed here is replaced by what another controller did",
            )
        elif has_place:
            _log.info("%s: taken over from another controller", label)

    def gone(self, label: str) -> None:
        """See Contents.gone. Only orders go: what another controller has finished must not be done again. All else stays,
        also if a person has removed every config.
        """
        self._files.remove_order(label)

    def unreadable(self, labels: Collection[str]) -> None:
        """See Contents.unreadable."""
        self._tell(
            Reason.STATE_LOST,
            f"{len(labels)} of the configs that are kept for a controller are damaged, or encrypted for another key than "
            f"this one's: {_meaning(labels)}",
        )

    def _tell(self, reason: Reason, message: str) -> None:
        _log.warning("%s: %s", reason, message)
        self._records.record_event("", "Warning", reason, message, self._now())


def _meaning(labels: Collection[str]) -> str:
    first = {label.partition("/")[0] for label in labels}
    return "; ".join(text for word, text in LOSSES.items() if word in first) or "it is made again"
