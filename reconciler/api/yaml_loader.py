"""Strict YAML: text to a tree in which every value has its line and column.

A manifest is untrusted input and often has typos. PyYAML's loaders keep the last of two equal keys, read `22:22` as 1342
and `no` as False, and expand aliases without a limit. This loader works on the parser's events, so that it can stop
early, and follows a narrow YAML 1.2 core schema: only `true` and `false` are booleans, only plain decimal numbers are
numbers, only an empty value, `~` and `null` are null; everything else is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import yaml

from reconciler.api.errors import Problem
from reconciler.api.yaml_nodes import ListNode, MapNode, Node, Scalar, ScalarNode, field_path

__all__ = ["YamlReader", "plain_scalar"]

MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 64
MAX_NODES: Final = 100_000
MAX_PROBLEMS: Final = 100

_NULLS: Final = frozenset({"", "~", "null"})
_BOOLEANS: Final = {"true": True, "false": False}
# Longer sequences of digits stay text: no field holds such a number, and their conversion is quadratic.
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
# Tags that equal the implicit type of a value; "!" and !!str also force text, as quotes do.
_ALLOWED_TAGS: Final = frozenset({"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))})

Place = tuple[int, int]
FieldPath = tuple[str | int, ...]


class _Mark(Protocol):
    # The C parser and the Python parser have different classes for a position.
    line: int
    column: int


class _UnreadableError(Exception):
    """Reading cannot go on; the problem is already recorded."""


class YamlReader:
    """Reads the documents of one text. Mistakes are appended to `problems`, not raised."""

    def __init__(self, text: str, path: Path) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._text = text
        self._loader = yaml.CSafeLoader(text)
        self._anchors: dict[str, Node] = {}
        self._open_anchors: set[str] = set()
        self._aliases = 0
        self._nodes = 0

    def documents(self) -> Iterator[Node]:
        """The root of each document that is not empty, up to the first YAML syntax error."""
        try:
            while not isinstance(event := self._next(), yaml.StreamEndEvent):
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                    root = self._node(self._next(), path=(), depth=1)
                    if not (isinstance(root, ScalarNode) and root.value is None):
                        yield root
        except _UnreadableError:
            return
        finally:
            self._loader.dispose()

    def _next(self) -> yaml.Event:
        try:
            event = self._loader.get_event()
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error) from None
        except yaml.reader.ReaderError as error:
            line = self._text.encode()[: error.position].count(b"\n") + 1
            raise self._give_up((line, 1), (), "holds a character that YAML forbids", "remove it") from None
        if event is None:
            raise self._give_up((0, 0), (), "ends unexpectedly", "check that the file is complete")
        return event

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> _UnreadableError:
        place = _place(error.problem_mark)
        lines = self._text.splitlines()
        line = lines[place[0] - 1] if 0 < place[0] <= len(lines) else ""
        tabs = "\t" in line[: len(line) - len(line.lstrip())]
        advice = "indent with spaces, not tabs" if tabs else "check the indentation and the quotes near it"
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        return self._give_up(place, (), f"is not valid YAML: {reason}", advice)

    def _node(self, event: yaml.Event, path: FieldPath, depth: int) -> Node:
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place, path, depth)
        if depth > MAX_DEPTH:
            raise self._give_up(place, path, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        self._count(1, place, path)
        if not isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent | yaml.ScalarEvent):
            raise self._give_up(place, path, "is incomplete", "check that the file is complete")
        if event.tag is not None and event.tag not in _ALLOWED_TAGS:
            self._note(place, path, "has a YAML tag (!...), which is not read", "remove the tag")
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)
        node: Node
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(place, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(place, path, depth)
        else:
            untagged_plain = event.tag is None and event.implicit[0]
            node = ScalarNode(
                plain_scalar(event.value) if untagged_plain else event.value, event.value, *place
            )
        if event.anchor is not None:
            self._open_anchors.discard(event.anchor)
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, place: Place, path: FieldPath, depth: int) -> MapNode:
        keys: dict[str, ScalarNode] = {}
        values: dict[str, Node] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            name = key.value if isinstance(key, ScalarNode) else None
            inner = (*path, name) if isinstance(name, str) else path
            value = self._node(self._next(), inner, depth + 1)
            key_place = (key.line, key.column)
            if not isinstance(key, ScalarNode) or not isinstance(name, str):
                self._note(key_place, path, "has a key that is not text", "put the key in quotes")
            elif name == "<<":
                self._note(
                    key_place, path, "uses a merge key (<<), which is not read", "write the fields out"
                )
            elif name in values:
                first = keys[name].line
                self._note(
                    key_place, inner, "is given twice", f"keep one of them; the first is on line {first}"
                )
            else:
                keys[name], values[name] = key, value
        size = 1 + sum(node.size + 1 for node in values.values())
        height = 1 + max((node.height for node in values.values()), default=0)
        return MapNode(keys, values, *place, size, height)

    def _list(self, place: Place, path: FieldPath, depth: int) -> ListNode:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), depth + 1))
        size = 1 + sum(node.size for node in items)
        return ListNode(tuple(items), *place, size, 1 + max((node.height for node in items), default=0))

    def _alias(self, event: yaml.AliasEvent, place: Place, path: FieldPath, depth: int) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._give_up(place, path, f"is alias number {self._aliases}", "write the values out")
        if event.anchor in self._open_anchors:
            raise self._give_up(place, path, "is an alias of something around it", "write the value out")
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise self._give_up(
                place, path, "is an alias of an anchor that is not defined above", "define it first"
            )
        if depth + node.height - 1 > MAX_DEPTH:
            raise self._give_up(place, path, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        self._count(node.size, place, path)
        return node

    def _count(self, nodes: int, place: Place, path: FieldPath) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._give_up(place, path, f"takes the file beyond {MAX_NODES} values", "split the file")

    def _note(self, place: Place, path: FieldPath, message: str, suggestion: str) -> None:
        if len(self.problems) == MAX_PROBLEMS:
            raise _UnreadableError
        self.problems.append(Problem(self._path, *place, field_path(path), message, suggestion))

    def _give_up(self, place: Place, path: FieldPath, message: str, suggestion: str) -> _UnreadableError:
        self._note(place, path, message, suggestion)
        return _UnreadableError()


def _place(mark: _Mark | None) -> Place:
    return (0, 0) if mark is None else (mark.line + 1, mark.column + 1)


def plain_scalar(text: str) -> Scalar:
    """The value of a scalar without quotes and tags."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
