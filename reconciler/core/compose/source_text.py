"""A Compose file as a tree of YAML nodes: what other files it names, and where each of its values is written.

Compose reads its files with another YAML library than this one. A difference between the two could hide the name of a file
from the checks here. So Compose gets no file as it was written: it gets the text of these nodes, with each name of a file
replaced by the one that was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

MAX_DEPTH: Final = 40
"""Levels of nodes; the deepest field of Compose has eight."""
MAX_WIDTH: Final = 2**30
MERGE: Final = "<<"
NULL: Final = "tag:yaml.org,2002:null"
RESET: Final = "!reset"
"""The tag of what Compose takes away again when it merges files."""
MAX_DOTS: Final = 6
"""Parts of a name with dots that are tried."""

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SourceError(ValueError):
    """A text that is no Compose file; `line` counts from 1, 0 when it is about the whole text."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class What(StrEnum):
    """What a named file is."""

    INCLUDED = "include"
    EXTENDED = "extends"
    VARIABLES = "env_file"
    LABELS = "label_file"
    DIRECTORY = "project_directory"


@dataclass(frozen=True, slots=True)
class Reference:
    """One name of a file; `place` is its path in the Compose file. `group` is the entry of `include` that it is part of."""

    what: What
    place: str
    node: ScalarNode
    required: bool = True
    group: int = -1

    @property
    def text(self) -> str:
        """The name as it is written."""
        return str(self.node.value)

    @property
    def line(self) -> int:
        """Counted from 1."""
        return int(self.node.start_mark.line) + 1

    def rename(self, name: str) -> None:
        """Replace the name by one that Compose reads as it is."""
        self.node.value = name.replace("$", "$$")
        self.node.tag, self.node.style = "tag:yaml.org,2002:str", '"'


@dataclass(frozen=True)
class SourceText:
    """The documents of one file."""

    documents: tuple[Node, ...]
    references: tuple[Reference, ...] = field(default=())

    def text(self) -> str:
        """The documents as YAML, with the names that references have now; scalars are as they were written."""
        for document in self.documents:
            _in_block_style(document, set())
        return str(
            yaml.serialize_all(self.documents, Dumper=yaml.SafeDumper, allow_unicode=True, width=MAX_WIDTH)
        )

    def line_of(self, path: Sequence[str]) -> int:
        """The line of a value, or of the innermost one around it that is written here; 0 if not even its service is."""
        found = 0
        for document in self.documents:
            if (line := _line(document, path)) > found:
                found = line
        return found

    @property
    def name(self) -> str:
        """The name of the project as it is written, perhaps with variables; "" for none."""
        names = [
            str(node.value)
            for document in self.documents
            for key, node in _entries(document)
            if key == "name" and isinstance(node, ScalarNode)
        ]
        return names[-1] if names else ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that configs and secrets take their content from."""
        return tuple(
            str(node.value)
            for document in self.documents
            for section in ("configs", "secrets")
            for _, body in _children(document, section)
            for key, node in _entries(body)
            if key == "environment" and isinstance(node, ScalarNode)
        )


def read_source(text: str) -> SourceText:
    """The nodes of a Compose file. Raises SourceError."""
    try:
        documents = tuple(each for each in yaml.compose_all(text, Loader=Loader) if not _is_empty(each))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SourceError(f"is no YAML: {error.problem or error.context}", line) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SourceError(f"is no YAML: {type(error).__name__}") from None
    for document in documents:
        if not isinstance(document, MappingNode):
            raise SourceError("is no Compose file, which is a mapping", document.start_mark.line + 1)
        _check_depth(document, 0, {})
    found = (each for document in documents for each in _references(document))
    return SourceText(documents, tuple(each for each in found if each.node.tag not in (NULL, RESET)))


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value == ""


def _check_depth(node: Node, depth: int, seen: dict[int, int]) -> None:
    """Also ends for nodes that contain themselves, or each other many times."""
    if depth > MAX_DEPTH:
        raise SourceError(f"has more than {MAX_DEPTH} levels, or contains itself", node.start_mark.line + 1)
    if isinstance(node, ScalarNode) or seen.get(id(node), -1) >= depth:
        return
    seen[id(node)] = depth
    for each in node.value:
        for one in each if isinstance(each, tuple) else (each,):
            _check_depth(one, depth + 1, seen)


def _in_block_style(node: Node, seen: set[int]) -> None:
    # A plain scalar of the flow style may need quotes in it, and would then get another meaning.
    if id(node) in seen or isinstance(node, ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, MappingNode | SequenceNode):
        node.flow_style = False
    for each in node.value:
        for one in each if isinstance(each, tuple) else (each,):
            _in_block_style(one, seen)


def _entries(node: Node | None, seen: set[int] | None = None) -> Iterator[tuple[str, Node]]:
    """The entries of a mapping, its own and those that it merges."""
    seen = set() if seen is None else seen
    if not isinstance(node, MappingNode) or id(node) in seen:
        return
    seen.add(id(node))
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            continue
        if key.value == MERGE:
            for merged in value.value if isinstance(value, SequenceNode) else [value]:
                yield from _entries(merged, seen)
        else:
            yield str(key.value), value


def _children(node: Node, name: str) -> Iterator[tuple[str, Node]]:
    for key, value in _entries(node):
        if key == name:
            yield from _entries(value)


def _references(document: Node) -> Iterator[Reference]:
    for key, value in _entries(document):
        if key == "include":
            yield from _included(value)
    for service, body in _children(document, "services"):
        for key, value in _entries(body):
            place = f"services.{service}.{key}"
            if key == "extends":
                for name, node in _entries(value):
                    if name == "file" and isinstance(node, ScalarNode):
                        yield Reference(What.EXTENDED, f"{place}.file", node)
            elif key in ("env_file", "label_file"):
                yield from _files(What(key), place, value)


def _included(value: Node) -> Iterator[Reference]:
    for at, entry in enumerate(value.value if isinstance(value, SequenceNode) else ()):
        place = f"include[{at}]"
        if isinstance(entry, ScalarNode):
            yield Reference(What.INCLUDED, place, entry, group=at)
        for key, node in _entries(entry):
            if key == "path":
                yield from _texts(What.INCLUDED, f"{place}.path", node, at)
            elif key == "project_directory" and isinstance(node, ScalarNode):
                yield Reference(What.DIRECTORY, f"{place}.{key}", node, group=at)
            elif key == "env_file":
                yield from _texts(What.VARIABLES, f"{place}.{key}", node, at)


def _texts(what: What, place: str, node: Node, group: int) -> Iterator[Reference]:
    if isinstance(node, ScalarNode):
        yield Reference(what, place, node, group=group)
    for at, each in enumerate(node.value if isinstance(node, SequenceNode) else ()):
        if isinstance(each, ScalarNode):
            yield Reference(what, f"{place}[{at}]", each, group=group)


def _files(what: What, place: str, node: Node) -> Iterator[Reference]:
    if isinstance(node, ScalarNode):
        yield Reference(what, place, node)
    for at, each in enumerate(node.value if isinstance(node, SequenceNode) else ()):
        if isinstance(each, ScalarNode):
            yield Reference(what, f"{place}[{at}]", each)
        else:
            yield from _paths(what, f"{place}[{at}].path", each)


def _paths(what: What, place: str, entry: Node) -> Iterator[Reference]:
    """Each path that an entry has, its own and those that it merges: all are checked, whichever of them Compose takes."""
    entries = [*_entries(entry)]
    required = [node for key, node in entries if key == "required"]
    is_optional = bool(required) and all(
        isinstance(node, ScalarNode) and str(node.value).lower() == "false" for node in required
    )
    own = _own_key(entry, "path")
    for key, node in entries:
        if key == "path" and isinstance(node, ScalarNode):
            is_merged = own is not None and all(node is not value for _, value in entry.value)
            yield Reference(what, place, node, required=not (is_optional or is_merged))


def _line(node: Node, path: Sequence[str]) -> int:
    line, depth = 0, 0
    while depth < len(path):
        if isinstance(node, SequenceNode):
            at = int(path[depth]) if str(path[depth]).isdecimal() else -1
            if not 0 <= at < len(node.value):
                break
            node, depth = node.value[at], depth + 1
            line = node.start_mark.line + 1
            continue
        entries = dict(reversed([*_entries(node)]))
        # A name may have dots in it.
        names = [(".".join(path[depth : depth + length]), length) for length in range(1, MAX_DOTS)]
        found = next(((name, length) for name, length in names if name in entries), None)
        if found is None:
            break
        name, length = found
        key = _own_key(node, name) or entries[name]
        node, depth, line = entries[name], depth + length, key.start_mark.line + 1
    # Without its service a value is not written here.
    return line if depth > 1 else 0


def _own_key(node: Node, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((key for key, _ in pairs if isinstance(key, ScalarNode) and key.value == name), None)


_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def steps_of(place: str) -> tuple[str, ...]:
    """`services.web.ports[0]` as steps."""
    return tuple(number or name for number, name in _STEP.findall(place))
