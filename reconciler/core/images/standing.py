"""How the image of a workload stands beside what its registry has: the newest one, behind, or another one by now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from reconciler.api.image_version import newest, read_version, variant_of
from reconciler.core.images.reference import Reference, shortened

__all__ = ["Standing", "State", "newer_tag", "standing"]


class State(StrEnum):
    """One word about an image. `Local`: it was built here, or its name is none that a registry could be asked for."""

    CURRENT = "Current"
    BEHIND = "Behind"
    MOVED = "Moved"
    LOCAL = "Local"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """`newest` is a tag that is newer, if there is one, `digest` what the present tag means in the registry."""

    state: State
    newest: str = ""
    digest: str = ""
    message: str = ""


def newer_tag(image: Reference, tags: Collection[str]) -> str:
    """The tag with a higher version, of the same variant and as many numbers; empty if there is none.

    A tag such as `17` or `1.4` moves with its releases on purpose, and is compared with those of its kind.
    """
    variant = variant_of(image.tag)
    present = read_version(image.tag, variant or "")
    if variant is None or present is None:
        return ""
    alike = (
        tag
        for tag in tags
        if (version := read_version(tag, variant)) and len(version.numbers) == len(present.numbers)
    )
    found = newest(alike, variant)
    version = read_version(found, variant) if found else None
    return found if found and version and version > present else ""


def standing(image: Reference, tags: Collection[str], digest: str, local: Collection[str]) -> Standing:
    """How an image stands. `digest` is what the registry's tag means now, `local` are the digests of the image that the
    engine has under that name, none if it has none.
    """
    newer = newer_tag(image, tags)
    known = {image.digest} if image.digest else set(local)
    told = []
    if is_moved := bool(known) and digest not in known and bool(image.tag or not image.digest):
        told.append(
            f"tag {image.asked} has moved from {', '.join(sorted(map(shortened, known)))} to {shortened(digest)}"
        )
    if newer:
        told.append(f"{newer} is newer than {image.tag}")
    state = State.MOVED if is_moved else State.BEHIND if newer else State.CURRENT
    return Standing(state, newer, digest, "; ".join(told))
