"""Changes single values of a manifest and leaves every other character unchanged.

Serialising the whole document again would reflow it: comments move, quotes and indentation change, and a one-line
change becomes hard to review. So the document is parsed for the positions of its values and one range of text is
replaced or one line added. The result is parsed again and has to equal the old document with only the requested change.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import Ref
from reconciler.api.manifest import Manifest, parse
from reconciler.api.server_set import is_list, items_of
from reconciler.api.text_file import decode
from reconciler.api.yaml_loader import YamlReader, plain_scalar
from reconciler.api.yaml_nodes import MapNode, Scalar, to_plain
from reconciler.api.yaml_writing import flow, scalar

__all__ = ["ANNOTATION", "LABEL", "Edit", "edit_manifest", "edit_text", "path_of_field"]

FieldPath = tuple[str, ...]
ANNOTATION: Final = "metadata.annotations."
"""How the name of a field begins that is not one of `spec` but an annotation."""
LABEL: Final = "metadata.labels."
"""The same for a label."""

ComposedNode = ScalarNode | MappingNode | SequenceNode

KEPT_DEPTH: Final = 2
"""Depth of a field of `spec`: removing the last field of a mapping never removes a mapping above that depth."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A manifest before and after a change: `before` and `after` are whole texts, `old` has the previous values by the
    field names of the request; None for a field that was absent.
    """

    path: Path
    manifest: Manifest
    old: Mapping[str, Any]
    before: str
    after: str

    @property
    def is_change(self) -> bool:
        """Whether the texts differ."""
        return self.before != self.after

    def diff(self, shown: str) -> str:
        """The change as a unified diff; `shown` is the file name in it."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        lines = difflib.unified_diff(before, after, f"a/{shown}", f"b/{shown}")
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def edit_manifest(path: Path, ref: Ref, changes: Mapping[str, Scalar]) -> Edit:
    """Change `spec` fields, such as {"replicas": 5, "env.LEVEL": "debug"}, of the resource `ref`, labels and annotations by
    "metadata.labels.NAME" and "metadata.annotations.NAME"; None removes one.

    Nothing is written. Raises PermanentError if the file has no such resource or the field cannot be changed alone,
    ManifestError with every problem if the result is not a valid manifest.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}") from error
    before = decode(content, path)
    fields = {key: path_of_field(key) for key in changes}
    after = edit_text(before, path, ref, {fields[key]: value for key, value in changes.items()})
    documents = _plain(before, path)
    written = documents[_index(documents, ref, path)]
    old = {key: _get(written, steps) for key, steps in fields.items()}
    found = next(each for each in parse(after, path) if each.resource.ref == ref)
    mark = "\ufeff" if content.startswith(b"\xef\xbb\xbf") else ""
    return Edit(path, found, old, mark + before, mark + after)


def edit_text(text: str, path: Path, ref: Ref, changes: Mapping[FieldPath, Scalar]) -> str:
    """`text` with these fields of a resource changed, or removed where the value is None. `path` is the file name in
    errors. Raises PermanentError.
    """
    for field, value in changes.items():
        wanted = _plain(text, path)
        index = _index(wanted, ref, path)
        editor = _Editor(text, path)
        if value is None:
            entry = _remove(wanted[index], field)
            if entry is None:
                continue
            changed = editor.remove(index, entry)
        else:
            if not _set(wanted[index], field, value):
                continue
            changed = editor.set(index, field, value)
        if _plain(changed, path) != wanted:
            raise _by_hand(path, field, "is written in a way that cannot be changed alone")
        text = changed
    return text


def path_of_field(key: str) -> FieldPath:
    """The steps to a field of a change, such as "replicas", "env.LEVEL" or "metadata.labels.team"."""
    # The name of an annotation, a label, a setting or a workload may contain dots.
    for prefix in (ANNOTATION, LABEL):
        if key.startswith(prefix):
            return (*prefix.rstrip(".").split("."), key.removeprefix(prefix))
    head, dot, rest = key.partition(".")
    return ("spec", head, rest) if dot and head in ("env", "images") else ("spec", *key.split("."))


def _plain(text: str, path: Path) -> list[Any]:
    """The documents as plain values. Raises PermanentError for YAML that the strict reader refuses."""
    reader = YamlReader(text, path)
    roots = [item for root in reader.documents() for item in items_of(root)]
    documents = [to_plain(root) if isinstance(root, MapNode) else {} for root in roots]
    if reader.problems:
        raise PermanentError(f"{reader.problems[0]}: fix it first")
    return documents


def _index(documents: list[Any], ref: Ref, path: Path) -> int:
    for index, document in enumerate(documents):
        metadata = document.get("metadata")
        is_of_kind = document.get("kind") == ref.kind.name
        if is_of_kind and isinstance(metadata, dict) and metadata.get("name") == ref.name:
            return index
    raise PermanentError(f"{path} no longer holds {ref.kind.name} {ref.name!r}; see: git log -- {path}")


def _get(document: Any, field: FieldPath) -> Any:
    for step in field:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _set(document: dict[str, Any], field: FieldPath, value: Scalar) -> bool:
    """Apply the change to plain values; returns whether anything changed."""
    for step in field[:-1]:
        inner = document.get(step)
        if not isinstance(inner, dict):
            inner = document[step] = {}
        document = inner
    if field[-1] in document and _same(document[field[-1]], value):
        return False
    document[field[-1]] = value
    return True


def _remove(document: dict[str, Any], field: FieldPath) -> FieldPath | None:
    """Remove a field from plain values, with parents that become empty; returns the removed entry, if any."""
    parent = _get(document, field[:-1])
    if not isinstance(parent, dict) or field[-1] not in parent:
        return None
    # `spec` itself stays.
    if len(parent) == 1 and len(field) > KEPT_DEPTH:
        return _remove(document, field[:-1])
    del parent[field[-1]]
    return field


def _same(one: object, other: object) -> bool:
    # In Python, True == 1.
    return type(one) is type(other) and one == other


def _by_hand(path: Path, field: FieldPath, reason: str) -> PermanentError:
    return PermanentError(f"{path}: {'.'.join(field)} {reason}; edit the file yourself")


class _Editor:
    """One text and the positions of its nodes."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def set(self, index: int, field: FieldPath, value: Scalar) -> str:
        """The text with one field changed or added."""
        node: ComposedNode = self._roots()[index]
        key: ScalarNode | None = None
        for depth, step in enumerate(field):
            if not isinstance(node, MappingNode):
                return self._fill(key, node, field, depth, value)
            inner = _child(node, step)
            if inner is None:
                return self._add(node, step, _nested(field[depth + 1 :], value), field)
            key, child = inner
            if child.start_mark.index < key.end_mark.index or self._is_marked(child):
                raise _by_hand(self._path, field, "is an anchor, an alias or has a tag")
            node = child
        return self._fill(key, node, field, len(field), value)

    def remove(self, index: int, field: FieldPath) -> str:
        """The text without one entry: its lines, or its range in a flow mapping, are removed."""
        mapping: ComposedNode = self._roots()[index]
        for step in field[:-1]:
            found = _child(mapping, step) if isinstance(mapping, MappingNode) else None
            mapping = found[1] if found else mapping
        entry = _child(mapping, field[-1]) if isinstance(mapping, MappingNode) else None
        if entry is None or not isinstance(mapping, MappingNode):
            raise _by_hand(self._path, field, "is written in a way that cannot be removed alone")
        key, value = entry
        start, end = key.start_mark.index, max(key.end_mark.index + 1, self._end(value))
        if mapping.flow_style:
            return self._without_comma(start, end)
        line_end = self._text.find("\n", end)
        return self._text[: self._text.rfind("\n", 0, start) + 1] + (
            self._text[line_end + 1 :] if line_end >= 0 else ""
        )

    def _roots(self) -> list[ComposedNode]:
        """The nodes of the documents that `_plain` counts: no empty ones, and the items of lists in their place."""
        found: list[ComposedNode] = []
        for node in YAML(pure=True).compose_all(self._text):
            if isinstance(node, ScalarNode) and node.style is None and plain_scalar(node.value) is None:
                continue
            entries = {key.value: value for key, value in node.value} if isinstance(node, MappingNode) else {}
            identity = {key: value.value for key, value in entries.items() if isinstance(value, ScalarNode)}
            items = entries.get("items")
            found += items.value if isinstance(items, SequenceNode) and is_list(identity) else [node]
        return found

    def _without_comma(self, start: int, end: int) -> str:
        """The text without one entry of a flow mapping and its comma."""
        before, after = self._text[:start], self._text[end:]
        if after.lstrip().startswith(","):
            return before + after.lstrip()[1:].lstrip(" ")
        return before.rstrip().removesuffix(",") + after

    def _fill(
        self, key: ScalarNode | None, node: ComposedNode, field: FieldPath, depth: int, value: Scalar
    ) -> str:
        """Replace a scalar; an empty scalar may become a mapping."""
        start: int = node.start_mark.index
        end: int = node.end_mark.index
        if not isinstance(node, ScalarNode) or node.start_mark.line != node.end_mark.line:
            raise _by_hand(self._path, field, "spans several lines or is not a single value")
        rest = field[depth:]
        new = flow(_nested(rest, value)) if rest else scalar(value, node.style)
        if start == end and key is not None:
            # An empty value is inserted after the colon of its key.
            before, colon, _ = self._text[key.end_mark.index :].partition(":")
            if not colon or before.strip():
                raise _by_hand(self._path, field, "has a key without a colon")
            start = end = key.end_mark.index + len(before) + 1
            new = f" {new}"
        return self._text[:start] + new + self._text[end:]

    def _add(self, mapping: MappingNode, key: str, value: Any, field: FieldPath) -> str:
        """Add an entry to a mapping: inside its braces (flow style), or as a line after its last entry."""
        entry = f"{scalar(key, None)}: {flow(value)}"
        if mapping.flow_style:
            start = mapping.start_mark.index + 1
            joined = f"{entry}, " if mapping.value else entry
            return f"{self._text[:start]}{joined}{self._text[start:]}"
        if not mapping.value:
            raise _by_hand(self._path, field, "has nowhere to go")
        indent = " " * int(mapping.value[0][0].start_mark.column)
        line_end = self._text.find("\n", self._end(mapping))
        if line_end < 0:
            return f"{self._text}{self._newline}{indent}{entry}"
        before, after = self._text[: line_end + 1], self._text[line_end + 1 :]
        return f"{before}{indent}{entry}{self._newline}{after}"

    def _end(self, node: ComposedNode) -> int:
        """The end of a node; its own end mark may be after trailing comments and empty lines."""
        if isinstance(node, MappingNode) and not node.flow_style and node.value:
            key, value = node.value[-1]
            # An alias has the marks of its anchor, and an empty scalar has the marks of the next token.
            is_elsewhere = value.start_mark.index < key.end_mark.index or _is_nothing(value)
            return self._end(key if is_elsewhere else value)
        if isinstance(node, SequenceNode) and not node.flow_style and node.value:
            return self._end(node.value[-1])
        end = int(node.end_mark.index)
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            return len(self._text[:end].rstrip())
        return end

    def _is_marked(self, node: ComposedNode) -> bool:
        return node.anchor is not None or self._text[node.start_mark.index : node.start_mark.index + 1] in (
            "&",
            "*",
            "!",
        )


def _is_nothing(node: ComposedNode) -> bool:
    return isinstance(node, ScalarNode) and bool(node.start_mark.index == node.end_mark.index)


def _child(mapping: MappingNode, name: str) -> tuple[ScalarNode, ComposedNode] | None:
    return next((pair for pair in mapping.value if pair[0].value == name), None)


def _nested(steps: FieldPath, value: Scalar) -> Any:
    for step in reversed(steps):
        value = {step: value}  # type: ignore[assignment]
    return value
