"""How an image stands beside its registry."""

from __future__ import annotations

import pytest

from reconciler.core.images.reference import read_reference
from reconciler.core.images.standing import Standing, State, standing

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TAGS = ("1.4.2", "1.4.10", "1.5.0-rc1", "1.4", "2", "1.9.0-alpine", "latest")

CASES = {
    "the newest": ("r.test/app:1.4.10", NEW, {NEW}, Standing(State.CURRENT, "", NEW)),
    "an older one": (
        "r.test/app:1.4.2",
        *(NEW, {NEW}),
        Standing(State.BEHIND, "1.4.10", NEW, "1.4.10 is newer than 1.4.2"),
    ),
    "one that is not here": (
        "r.test/app:1.4.2",
        *(NEW, set()),
        Standing(State.BEHIND, "1.4.10", NEW, "1.4.10 is newer than 1.4.2"),
    ),
    "a tag of two numbers": ("r.test/app:1.4", NEW, {NEW}, Standing(State.CURRENT, "", NEW)),
    "a tag of one number": ("r.test/app:1", NEW, {NEW}, Standing(State.BEHIND, "2", NEW, "2 is newer than 1")),
    "a variant": ("r.test/app:1.4.2-alpine", NEW, {NEW}, Standing(State.BEHIND, "1.9.0-alpine", NEW,
                                                                "1.9.0-alpine is newer than 1.4.2-alpine")),
    "a pre-release": ("r.test/app:1.4.0-rc1", NEW, {NEW}, Standing(State.BEHIND, "1.4.10", NEW,
                                                                "1.4.10 is newer than 1.4.0-rc1")),
    "no version": ("r.test/app:latest", NEW, {NEW}, Standing(State.CURRENT, "", NEW)),
    "no tag": ("r.test/app", NEW, {OLD}, Standing(
        State.MOVED, "", NEW, "tag latest has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb")),
    "moved since it was pulled": ("r.test/app:1.4.10", NEW, {OLD}, Standing(
        State.MOVED, "", NEW, "tag 1.4.10 has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb")),
    "moved since it was pinned": (f"r.test/app:1.4.10@{OLD}", NEW, {OLD}, Standing(
        State.MOVED, "", NEW, "tag 1.4.10 has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb")),
    "pinned and right": (f"r.test/app:1.4.10@{NEW}", NEW, set(), Standing(State.CURRENT, "", NEW)),
    "known by several digests": ("r.test/app:1.4.10", NEW, {OLD, NEW}, Standing(State.CURRENT, "", NEW)),
    "a digest alone": (f"r.test/app@{OLD}", OLD, {OLD}, Standing(State.CURRENT, "", OLD)),
    "moved and behind": ("r.test/app:1.4.2", NEW, {OLD}, Standing(
        State.MOVED, "1.4.10", NEW,
        "tag 1.4.2 has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb; 1.4.10 is newer than 1.4.2")),
}  # fmt: skip


@pytest.mark.parametrize(("image", "digest", "local", "wanted"), CASES.values(), ids=CASES.keys())
def test_how_it_stands(image: str, digest: str, local: set[str], wanted: Standing) -> None:
    reference = read_reference(image)
    assert reference is not None
    assert standing(reference, TAGS, digest, local) == wanted
