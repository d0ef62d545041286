"""Which images may run as HAProxy: the operator decides, because HAProxy sees every client request.

A pattern is an image without registry parts that are Docker Hub's own; `*` stands for anything but a slash, and a pattern
without a tag for every tag and digest.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

PROXY_IMAGES: Final = ("*", "vault-reconciler/*", "haproxytech/haproxy-*")
"""Built on this machine or official ones of Docker Hub, which both have no owner in their name, and HAProxy's own."""

_ID: Final = re.compile(r"(sha256:)?[0-9a-f]{1,64}")
"""Text that the engine treats as an image ID, or the beginning of one, if no image has that name."""


def is_allowed(image: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns names this image. An image ID has no name, so it has to be listed literally."""
    if _ID.fullmatch(image):
        return image in patterns
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
