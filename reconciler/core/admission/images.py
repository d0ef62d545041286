"""Which images may run as HAProxy: the operator's choice, since they see the requests of every client.

A pattern is an image without registry parts that are Docker Hub's own; `*` stands for anything but a slash, and a pattern
without a tag for every tag and digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

PROXY_IMAGES: Final = ("*", "vault-reconciler/*", "haproxytech/haproxy-*")
"""Built on this machine or official ones of Docker Hub, which both have no owner in their name, and HAProxy's own."""


def is_allowed(image: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names this image."""
    return any(_matches(_plain(image), _plain(pattern)) for pattern in patterns)


def _matches(image: str, pattern: str) -> bool:
    parts, wanted = image.split("/"), pattern.split("/")
    if not _has_version(wanted[-1]):
        parts[-1] = parts[-1].partition("@")[0].partition(":")[0]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _has_version(name: str) -> bool:
    return "@" in name or ":" in name


def _plain(image: str) -> str:
    # All of these are the same image for the engine.
    for prefix in ("docker.io/", "index.docker.io/"):
        image = image.removeprefix(prefix)
    return image.removeprefix("library/")
