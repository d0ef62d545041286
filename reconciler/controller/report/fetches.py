"""Records the fetches of a Git source: counts and times for Prometheus, and an event for each change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from metrics import catalog
from metrics.recorder import Recorder
from metrics.snapshots import SourceSnapshot
from reconciler.api.reasons import Reason
from reconciler.sources.base import Fetch
from reconciler.store.base import EventType, Records


class FetchJournal:
    """The journal of one source; `name` is what metrics call it. One thread writes, any may read."""

    def __init__(self, name: str, records: Records, recorder: Recorder, now: Callable[[], datetime]) -> None:
        self._name = name
        self._records = records
        self._recorder = recorder
        self._now = now
        self._last: datetime | None = None
        self._refused: bool | None = None

    def saw(self, fetch: Fetch) -> None:
        """One fetch has ended."""
        failed = fetch.setback is not None and fetch.setback.reason == Reason.FETCH_FAILED
        result = catalog.ERROR if failed else catalog.SUCCESS
        self._recorder.add(catalog.GIT_FETCHES, source=self._name, result=result)
        self._recorder.observe(catalog.GIT_FETCH_DURATION, fetch.seconds, source=self._name)
        if not failed:
            self._last, self._refused = self._now(), fetch.setback is not None
        if not fetch.is_news:
            return
        if fetch.setback:
            self._tell("Warning", fetch.setback.reason, fetch.setback.message, fetch.commit)
        else:
            self._tell("Normal", Reason.FETCHED, f"{self._name} is at {fetch.commit}", fetch.commit)

    def snapshot(self) -> SourceSnapshot:
        """When a fetch last succeeded, and whether its commit was refused."""
        return SourceSnapshot(name=self._name, last_fetch=self._last, refused=self._refused)

    def _tell(self, type_: EventType, reason: str, message: str, commit: str) -> None:
        self._records.record_event("", type_, reason, message, self._now(), commit=commit)
