"""Parts of a list of texts that fit into what HAProxy reads at once: a line of a file, or the payload of a command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["in_chunks"]


def in_chunks(texts: Iterable[str], most: int) -> Iterator[tuple[str, ...]]:
    """Texts in their order, in parts of less than `most` characters with one separator each; a longer text is alone."""
    part: list[str] = []
    size = 0
    for text in texts:
        if part and size + len(text) >= most:
            yield tuple(part)
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield tuple(part)
