"""Nodes by their names as users write them, and what runs on one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.app.finding import NotFoundError

if TYPE_CHECKING:
    from reconciler.app.finding import Shelf
    from reconciler.engines.nodes import Node

__all__ = ["WORDS", "named", "names_of_nodes"]

WORDS: Final = ("node", "nodes", "no")
"""What nodes are called in front of their names, as kubectl takes it."""


def names_of_nodes(objects: Shelf, words: Sequence[str]) -> tuple[str, ...] | None:
    """The names of nodes that NODE..., or node/NAME... mean; None for words that are about objects.

    A VaultService that is called like this is meant by its name.
    """
    if not words:
        return None
    first, slash, _ = words[0].partition("/")
    if first.lower() not in WORDS:
        return None
    if slash:
        return tuple(word.partition("/")[2] or word for word in words)
    return None if first in objects.of(VAULT_SERVICE).names() else tuple(words[1:])


def named(nodes: Iterable[Node], name: str) -> Node:
    """The node of this name or ID. Raises NotFoundError that lists those that there are."""
    found = tuple(nodes)
    for node in found:
        if name in (node.name, node.id):
            return node
    from reconciler.api.diagnosis import nearest

    there = [node.name for node in found]
    near = nearest(name, there)
    hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(there) or 'none'}"
    raise NotFoundError(f"there is no node {name!r}; {hint}")
