"""A Compose file as `docker compose config` reads it, and what becomes of it here."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

VARIABLES: Final = "x-vault-variables"
"""The section of a read file that has the values of variables for configs and secrets."""

_PLACE: Final = re.compile(
    r"\b(?:services|networks|volumes|configs|secrets)\.[\w.\[\]*-]*[\w\]]|\bservice '(?P<service>[\w.-]+)'"
)


class ProjectError(ValueError):
    """What has to be said besides the Compose file, or cannot be; the message begins with the place."""


@dataclass(frozen=True)
class Project:
    """A Compose file as Compose reads it: `document` is that of `docker compose config`, each `$` of a value doubled.

    `directory` is that of the file, None for a text; `place_of` tells where a value is written, as `file:line`. `warnings`
    are those of Compose, `secrets` values that no message may show. `content` names the document among those that were
    kept; `image_prefix` is how the names of images begin that Compose builds. `files` are the texts of files that
    containers get as they are now, because they cannot mount them.
    """

    name: str
    document: Mapping[str, Any]
    directory: Path | None = None
    warnings: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    place_of: Callable[[str], str] = lambda place: ""
    image_prefix: str = ""
    content: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def built(self, named: Collection[str]) -> Mapping[str, str]:
        """The name of the image of each service that Compose builds, but for those whose image the manifest has `named`."""
        return {
            name: str(body.get("image") or f"{self.image_prefix}-{name}").replace("$$", "$")
            for name, body in (self.document.get("services") or {}).items()
            if body.get("build") is not None and name not in named
        }

    def with_images(self, ids: Mapping[str, str]) -> Project:
        """The project in which these services run what has been built for them, by the IDs of their images. So an image
        that was built anew is another revision, and a rollback has the former one.
        """
        services = {
            name: {**{key: value for key, value in body.items() if key != "build"}, "image": ids[name]}
            if name in ids
            else body
            for name, body in (self.document.get("services") or {}).items()
        }
        return replace(self, document={**self.document, "services": services})

    def located(self, text: str) -> str:
        """A message with file and line in front of what it says about a place in the file, for each of its lines."""
        return "\n".join(map(self._located, text.split("\n")))

    def _located(self, line: str) -> str:
        found = _PLACE.search(line)
        if not found:
            return line
        where = self.place_of(f"services.{found['service']}" if found["service"] else found[0])
        if not where:
            return line
        return f"{line[: found.start()]}{where}: {line[found.start() :]}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Volumes and networks that exist and stay what they are, by the engine's names."""

    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()

    def of(self, section: str) -> frozenset[str]:
        """Those of a section of a Compose file; there are none but of these two."""
        return {"volumes": self.volumes, "networks": self.networks}.get(section, frozenset())


NOTHING_KEPT: Final = Kept()


@dataclass(frozen=True)
class Adapted:
    """A fragment, and what was decided about it: the web service, its port, how many there are, and whether only one of
    them at a time may write to its volumes.
    """

    fragment: dict[str, Any]
    web: str
    port: int
    replicas: int | None
    writes: bool
    warnings: tuple[str, ...]
