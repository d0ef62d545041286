"""When each tag of an image was first seen: the age of an image counts from then, since a registry can claim any date."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.api.moments import format_moment
from reconciler.store import files

__all__ = ["Sightings"]

FILE: Final = "images.json"


@dataclass(frozen=True, slots=True)
class Sightings:
    """The sightings of one service, in its directory. They are those of one repository: another one begins anew."""

    directory: Path

    def read(self, place: str) -> Mapping[str, datetime]:
        """The first sighting of each tag of the repository `place`; none if there is no usable file."""
        try:
            document = json.loads((self.directory / FILE).read_bytes())
            if document["place"] != place:
                return {}
            found = {str(tag): datetime.fromisoformat(text) for tag, text in document["seen"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}
        return {tag: moment.astimezone(UTC) for tag, moment in found.items()}

    def add(self, place: str, tags: Collection[str], now: datetime) -> Mapping[str, datetime]:
        """The sightings of exactly these tags, `now` for new ones; a tag that is gone begins anew when it comes back.

        Raises TemporaryError for disk errors.
        """
        before = self.read(place)
        after = {tag: min(before.get(tag, now), now) for tag in sorted(tags)}
        if after != before:
            document = {"place": place, "seen": {tag: format_moment(moment) for tag, moment in after.items()}}
            path = self.directory / FILE
            files.write(path, json.dumps(document).encode(), durable=False)
        return after
