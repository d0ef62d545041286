"""For how long a HAProxy has not answered. One look cannot tell: on a busy machine, a good answer may come too late."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping


class Silence:
    """Remembers since when, by a `clock` in seconds that only grows. What it forgets with its process it learns again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, Mapping[str, float]] = {}

    def of(self, project: str, silent: Collection[str]) -> Mapping[str, float]:
        """Seconds since each of the containers that do not answer now was first found silent; they are all there are in
        this project.
        """
        now, before = self._clock(), self._since.pop(project, {})
        since = {container: before.get(container, now) for container in silent}
        if since:
            self._since[project] = since
        return {container: now - moment for container, moment in since.items()}
