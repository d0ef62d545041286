"""The three formats of a SOPS file as one list of values with their places, and the metadata beside them.

YAML and JSON are read by the strict loader of manifests, so bombs, duplicate keys and depth are its matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reconciler.api.errors import ManifestError
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import ListNode, MapNode, Node, Scalar, ScalarNode, to_plain
from reconciler.sealed.errors import SealedError, sealed_error

__all__ = ["Document", "Leaf", "is_sops", "orphan", "read_document"]

METADATA: Final = "sops"
_PREFIX: Final = f"{METADATA}_"
_MARKS: Final = re.compile(rb"^sops:[ \t]*$|^sops_(?:mac|version)=", re.MULTILINE)
_JSON_MARK: Final = re.compile(rb'"sops"\s*:\s*\{')
_ENCRYPTED: Final = re.compile(rb"^[^#\n]*=ENC\[AES256_GCM,", re.MULTILINE)
_RECIPIENT: Final = re.compile(r"age__list_(\d{1,3})__map_(recipient|enc)")
_INDENTED: Final = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value; `path` are the keys that lead to it, those of lists left out, as SOPS authenticates them."""

    path: tuple[str, ...]
    value: Scalar = field(repr=False)
    line: int
    is_nested: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A SOPS file. `age` are the recipients with their part of the data key, each with its line; `line` is that of the
    metadata. `is_dotenv`: a value is what stands behind `KEY=`, quotes included.
    """

    leaves: tuple[Leaf, ...]
    metadata: Mapping[str, Any]
    age: tuple[tuple[str, str, int], ...]
    line: int
    is_dotenv: bool = False


def is_sops(content: bytes) -> bool:
    """Whether a file has the metadata of SOPS."""
    if content.lstrip().startswith(b"{"):
        return _JSON_MARK.search(content) is not None
    return _MARKS.search(content) is not None


def orphan(content: bytes) -> int:
    """The first line with an encrypted value in a file without metadata, which was cut off; 0 if there is none."""
    match = _ENCRYPTED.search(content)
    return content[: match.start()].count(b"\n") + 1 if match else 0


def read_document(text: str, path: Path) -> Document:
    """The values and the metadata. Raises ManifestError for what is no strict YAML, SealedError for no SOPS file."""
    if text.lstrip().startswith("{"):
        # JSON is YAML, but for tabs; as SOPS writes it they only indent.
        return _of_tree(_root(_INDENTED.sub(" ", text), path), path)
    if re.search(r"^sops_(?:mac|version)=", text, re.MULTILINE):
        return _of_lines(text, path)
    return _of_tree(_root(text, path), path)


def _root(text: str, path: Path) -> MapNode:
    reader = YamlReader(text, path)
    documents = list(reader.documents())
    if reader.problems:
        raise ManifestError(reader.problems)
    if len(documents) != 1 or not isinstance(documents[0], MapNode):
        raise sealed_error(path, 1, "must be one mapping", "write NAME: value, one document in a file")
    return documents[0]


def _of_tree(root: MapNode, path: Path) -> Document:
    node = root.values.get(METADATA)
    if not isinstance(node, MapNode):
        raise _unreadable(path, node.line if node else 1)
    leaves = [
        leaf
        for name, each in root.values.items()
        if name != METADATA
        for leaf in _leaves(each, (name,), False)
    ]
    return Document(
        tuple(leaves), to_plain(node), tuple(_recipients(node.values.get("age"), path)), node.line
    )


def _leaves(node: Node, path: tuple[str, ...], is_nested: bool) -> Iterator[Leaf]:
    if isinstance(node, ScalarNode):
        yield Leaf(path, node.value, node.line, is_nested)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _leaves(item, path, True)
    else:
        for name, value in node.values.items():
            yield from _leaves(value, (*path, name), True)


def _recipients(node: Node | None, path: Path) -> Iterator[tuple[str, str, int]]:
    for item in node.items if isinstance(node, ListNode) else ():
        plain = to_plain(item)
        if not isinstance(plain, dict) or not all(
            isinstance(plain.get(key), str) for key in ("recipient", "enc")
        ):
            raise _unreadable(path, item.line)
        yield plain["recipient"], plain["enc"], item.line


def _of_lines(text: str, path: Path) -> Document:
    leaves: list[Leaf] = []
    metadata: dict[str, Any] = {}
    parts: dict[int, dict[str, str]] = {}
    lines: dict[int, int] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, written = line.partition("=")
        if not equals:
            raise sealed_error(path, number, "has no '='", "restore the file as SOPS wrote it")
        if name in seen:
            raise sealed_error(path, number, "is given twice", f"keep one; the first is on line {seen[name]}")
        seen[name] = number
        value = written.replace("\\n", "\n")
        if not name.startswith(_PREFIX):
            leaves.append(Leaf((name,), value, number, False))
        elif match := _RECIPIENT.fullmatch(name.removeprefix(_PREFIX)):
            parts.setdefault(int(match[1]), {})[match[2]] = value
            lines.setdefault(int(match[1]), number)
        else:
            metadata[name.removeprefix(_PREFIX)] = value
    metadata["mac_only_encrypted"] = metadata.get("mac_only_encrypted") == "true"
    if any("recipient" not in each or "enc" not in each for each in parts.values()):
        raise _unreadable(path, min(lines.values()))
    age = tuple((parts[index]["recipient"], parts[index]["enc"], lines[index]) for index in sorted(parts))
    first = next((number for name, number in seen.items() if name.startswith(_PREFIX)), 1)
    return Document(tuple(leaves), metadata, age, first, is_dotenv=True)


def _unreadable(path: Path, line: int) -> SealedError:
    return sealed_error(path, line, "is no metadata of SOPS", "restore the file as SOPS wrote it")
