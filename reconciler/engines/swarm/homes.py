"""On which nodes local volumes are: one record for each, as a config of the Swarm, so that each manager knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from reconciler.engines.errors import EngineError
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.files import SwarmFile
from reconciler.engines.swarm.marks import NODE, PROJECT, VOLUME

__all__ = ["Homes"]

KIND: Final = "configs"
DIGITS: Final = 24


class Homes:
    """The records of one project, read when this is made."""

    def __init__(self, api: SwarmApi, project: str) -> None:
        self._api = api
        self._project = project
        self._rows = self._read()

    def of(self, volumes: Iterable[str]) -> Mapping[str, str]:
        """The IDs of the nodes of those of these volumes that are in use, by volume."""
        return {volume: self._rows[volume] for volume in volumes if volume in self._rows}

    def record(self, volumes: Iterable[str], node: str) -> None:
        """Write down that these are on a node. Raises EngineError if another one wrote something else meanwhile."""
        for volume in volumes:
            if volume in self._rows:
                continue
            try:
                self._api.create_file(KIND, self._spec(volume, node))
            except EngineError:
                self._rows = self._read()
                if self._rows.get(volume) != node:
                    raise
            self._rows = {**self._rows, volume: node}

    def _read(self) -> Mapping[str, str]:
        found = {}
        for row in self._api.files(KIND, self._project).values():
            marks = row["Spec"].get("Labels") or {}
            if VOLUME in marks and NODE in marks:
                found[marks[VOLUME]] = marks[NODE]
        return found

    def _spec(self, volume: str, node: str) -> Mapping[str, Any]:
        # The name of a config is shorter than that of a volume may be.
        name = f"vault-volume-{sha256(volume.encode()).hexdigest()[:DIGITS]}"
        spec = SwarmFile(KIND, name, "", f"volume {volume} is on node {node}\n".encode()).spec(self._project)
        return {**spec, "Labels": {PROJECT: self._project, VOLUME: volume, NODE: node}}
