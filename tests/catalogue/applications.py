"""What the tests know of the applications of the catalogue: one directory each, with

- `Dockerfile`: an image from packages with the contract of the image that the plugin names (port, variables, data, user);
- `versions`: a line for each version, the older one first: its tag and the build arguments that make it;
- `application.yaml`: its settings, whether its README says `many` and `restricted`, and what a visitor does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DIRECTORY: Final = Path(__file__).parent
FILE: Final = "application.yaml"


@dataclass(frozen=True)
class Application:
    """One application. `prepare` (once, where it is installed by HTTP), `login`, `create` and `find` are steps of a
    Visitor; `load` is a path that needs no login.

    `replicas` is what the test runs, 1 where the data allows one; `keeps_sessions` whether a login outlives a replica;
    `upgrade` the workloads that get the newer image, of which the first one is the web service; `loses_in_upgrade` whether
    the older version cannot serve what a job of the newer one makes of the tables.
    """

    slug: str
    settings: Mapping[str, str]
    load: str
    find: tuple[Mapping[str, Any], ...]
    create: tuple[Mapping[str, Any], ...]
    prepare: tuple[Mapping[str, Any], ...] = ()
    login: tuple[Mapping[str, Any], ...] = ()
    replicas: int = 1
    restricted: bool = False
    keeps_sessions: bool = True
    upgrade: tuple[str, ...] = ()
    loses_in_upgrade: bool = False

    @property
    def versions(self) -> tuple[str, str]:
        """The tags of its two images, the older one first."""
        lines = (DIRECTORY / self.slug / "versions").read_text().splitlines()
        older, newer = (line.split()[0] for line in lines)
        return older, newer

    def images(self, version: str) -> dict[str, str]:
        """`spec.images` with the image of one version."""
        return dict.fromkeys(
            self.upgrade or (self.slug,), f"vault-reconciler/catalogue-{self.slug}:{version}"
        )


@cache
def applications() -> Mapping[str, Application]:
    """All applications, by slug."""
    return {path.parent.name: read(path) for path in sorted(DIRECTORY.glob(f"*/{FILE}"))}


def read(path: Path) -> Application:
    """Read one. Raises TypeError for a field that there is not."""
    fields = yaml.safe_load(path.read_text())
    for name in ("prepare", "login", "create", "find", "upgrade"):
        fields[name] = tuple(fields.get(name, ()))
    return Application(slug=path.parent.name, **fields)
