"""Images as they are named to Swarm: exactly, so that every node runs the same one, also after a tag has moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.engines.compose.api import DockerApi

__all__ = ["SwarmImage", "exact", "find_image"]

BY_ID = "sha256:"


@dataclass(frozen=True, slots=True)
class SwarmImage:
    """An image of the controller's node. `reference` names it exactly on every node: with its digest, or by its ID where no
    registry has it. `volumes` are the paths that it declares as such; `is_checked`: it has a health check.
    """

    id: str
    reference: str
    volumes: tuple[str, ...] = ()
    is_checked: bool = False


def find_image(docker: DockerApi, name: str) -> SwarmImage | None:
    """The image that a name or an ID means on this node; None if it is not here."""
    details = docker.read("inspect an image", "/images/{}/json", name, missing=None)
    if not details:
        return None
    config = details.get("Config") or {}
    check = list((config.get("Healthcheck") or {}).get("Test") or ())
    return SwarmImage(
        id=details["Id"],
        # Swarm pulls what has a name, and takes what has only an ID from the node.
        reference=exact(name, details.get("RepoDigests") or ()) or details["Id"],
        volumes=tuple(sorted(config.get("Volumes") or {})),
        is_checked=bool(check) and check != ["NONE"],
    )


def exact(name: str, digests: Iterable[str]) -> str:
    """The digest of an image in the repository of its name, of an ID in any; empty if no registry has it."""
    found = sorted(digests)
    if name.startswith(BY_ID):
        return found[0] if found else ""
    head, slash, tail = name.partition("@")[0].rpartition("/")
    repository = f"{head}{slash}{tail.partition(':')[0]}"
    return next((each for each in found if each.partition("@")[0] == repository), "")
