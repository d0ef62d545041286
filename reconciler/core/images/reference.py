"""The name of an image, in its parts: where its registry is, and what to ask it for.

The engine leaves parts out that are Docker Hub's: `haproxy:3.0` is `docker.io/library/haproxy:3.0`. What is written is
kept, since it is what people and revisions know the image by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["DOCKER_HUB", "LATEST", "Reference", "read_reference", "shortened"]

DOCKER_HUB: Final = "docker.io"
LATEST: Final = "latest"
LONGEST: Final = 512
SHOWN: Final = 19

_PART: Final = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_NAME: Final = re.compile(
    rf"(?:(?P<registry>(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?)/)?(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """`name` is the image as written, without `tag` and `digest`, which may be empty; `registry` and `repository` are where
    it is.
    """

    name: str
    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag, digest = f":{self.tag}" if self.tag else "", f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def asked(self) -> str:
        """The tag that the engine would ask for."""
        return self.tag or LATEST

    @property
    def place(self) -> str:
        """Registry and repository, for people and as a key."""
        return f"{self.registry}/{self.repository}"

    def at(self, tag: str, digest: str = "") -> Reference:
        """The same image at another tag, and at this digest."""
        return replace(self, tag=tag, digest=digest)


def read_reference(image: str) -> Reference | None:
    """The parts of an image's name; None for what no registry can be asked for, such as the ID of an image."""
    if len(image) > LONGEST or image.startswith("sha256:"):
        return None
    first, slash, _ = image.partition("/")
    # The engine's own rule for what is a host.
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    found = _NAME.fullmatch(image if has_registry else f"{DOCKER_HUB}/{image}")
    # A host that is none is not the beginning of a repository either.
    if found is None or found["registry"] is None:
        return None
    registry = found["registry"].lower()
    repository = found["repository"]
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    name = image.partition("@")[0]
    if found["tag"]:
        name = name.removesuffix(f":{found['tag']}")
    return Reference(name, registry, repository, found["tag"] or "", found["digest"] or "")


def shortened(digest: str) -> str:
    """A digest or the ID of an image for people: its algorithm and twelve digits, as `docker images` shows them."""
    return digest[:SHOWN]
