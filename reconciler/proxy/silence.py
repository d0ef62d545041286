"""Tracks how long a HAProxy has not answered, since on a busy machine a single answer may come too late."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping


class Silence:
    """Stores when a HAProxy became silent, by a monotonic `clock`. After a restart it starts again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, Mapping[str, float]] = {}

    def of(self, project: str, silent: Collection[str]) -> Mapping[str, float]:
        """Seconds since each container was first silent; `silent` are all of this project."""
        now, before = self._clock(), self._since.pop(project, {})
        since = {container: before.get(container, now) for container in silent}
        if since:
            self._since[project] = since
        return {container: now - moment for container, moment in since.items()}
