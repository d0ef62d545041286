"""The tree of a YAML text: plain values and their positions.

A validation error names a path such as spec.ports.http; the tree maps it to a line and a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ListNode", "MapNode", "Node", "Scalar", "ScalarNode", "field_path", "locate", "to_plain"]

MAX_SHOWN_KEY: Final = 80

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value; `text` is its source text. Lines and columns count from 1, also in the classes below."""

    value: Scalar
    text: str
    line: int
    column: int
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list. `size` and `height` count its nodes with every alias written out."""

    items: tuple[Node, ...]
    line: int
    column: int
    size: int
    height: int


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; the nodes of its keys have their positions."""

    keys: dict[str, ScalarNode]
    values: dict[str, Node]
    line: int
    column: int
    size: int
    height: int


Node = ScalarNode | ListNode | MapNode


def to_plain(node: Node) -> Any:
    """Dicts, lists and scalars, as a YAML library returns them."""
    if isinstance(node, MapNode):
        return {key: to_plain(value) for key, value in node.values.items()}
    if isinstance(node, ListNode):
        return [to_plain(item) for item in node.items]
    return node.value


def locate(root: Node, path: Sequence[str | int]) -> tuple[Node, ScalarNode | None]:
    """The node at `path` and its key; if the path is not in the tree, the last node and key that are."""
    node: Node = root
    key: ScalarNode | None = None
    for step in path:
        if isinstance(node, MapNode) and isinstance(step, str) and step in node.values:
            key = node.keys[step]
            node = node.values[step]
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            key = None
        else:
            break
    return node, key


def field_path(path: Sequence[str | int]) -> str:
    """`spec.envFrom[0].file`. Keys are truncated and escaped: they may hold any characters, such as terminal codes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if step.isprintable() else ascii(step)[1:-1]
            shown = shown if len(shown) <= MAX_SHOWN_KEY else f"{shown[:MAX_SHOWN_KEY]}…"
            text += f".{shown}" if text else shown
    return text
