"""Reads manifests: a file or a directory of YAML in, checked VaultServices out.

Everything that is wrong is reported at once, with file, line and column: a user who has made three mistakes
should need one more run, not three. A manifest is taken whole or not at all, so that a half-read directory
can never look like a deletion.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from reconciler.api.conflicts import Document, Manifest, conflicts
from reconciler.api.diagnosis import diagnose, nearest
from reconciler.api.errors import ManifestError, Problem
from reconciler.api.text_file import read_text
from reconciler.api.vaultservice import API_GROUP, API_VERSION, KIND, VaultService
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import MapNode, Node, ScalarNode, to_plain

__all__ = ["Manifest", "load", "load_directory", "parse"]

SUFFIXES: Final = frozenset({".yaml", ".yml"})


def load(path: Path) -> list[Manifest]:
    """The VaultServices of a file, in its order, or of a directory. Raises ManifestError with every problem
    found.
    """
    if path.is_dir():
        return load_directory(path)
    return parse(read_text(path), path)


def load_directory(path: Path) -> list[Manifest]:
    """The VaultServices of all *.yaml and *.yml files below `path`, sorted by file; hidden ones are skipped.

    Raises ManifestError with every problem found; a directory without any VaultService is one.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for file in _files(path, problems):
        try:
            _read(read_text(file), file, documents, problems)
        except ManifestError as error:
            problems += error.problems
    return _checked(documents, problems, path)


def parse(text: str, path: Path) -> list[Manifest]:
    """Like `load`, for a text that was read already; `path` names it in problems and is what `envFrom` is
    relative to.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    _read(text, path, documents, problems)
    return _checked(documents, problems, path)


def _files(directory: Path, problems: list[Problem]) -> list[Path]:
    def unreadable(error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        place = Path(error.filename or directory)
        problems.append(
            Problem(place, 0, 0, "", f"cannot be listed: {reason}", "check the path and its permissions")
        )

    found: list[Path] = []
    for parent, subdirectories, names in os.walk(directory, onerror=unreadable):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        found += [
            Path(parent, name) for name in names if not name.startswith(".") and Path(name).suffix in SUFFIXES
        ]
    return sorted(found)


def _read(text: str, path: Path, documents: list[Document], problems: list[Problem]) -> None:
    reader = YamlReader(text, path)
    findings: list[Problem] = []
    for root in reader.documents():
        identity = list(_identity_problems(root, path))
        if identity or not isinstance(root, MapNode):
            findings += identity
        elif _is_ours(root):
            # Like an API server: what a user sends as status is dropped, so that the output of `get` can be
            # applied again.
            written = {key: value for key, value in to_plain(root).items() if key != "status"}
            try:
                service = VaultService.model_validate(written, by_alias=True, by_name=False)
                documents.append(Document(Manifest(service, path, root.line), root))
            except ValidationError as error:
                findings += diagnose(error, root, path)
    taken = {(problem.line, problem.column) for problem in reader.problems}
    problems += reader.problems
    problems += [finding for finding in findings if (finding.line, finding.column) not in taken]


def _identity_problems(root: Node, path: Path) -> Iterator[Problem]:
    if not isinstance(root, MapNode):
        yield Problem(
            path, root.line, root.column, "", "must be a mapping", f"start with apiVersion: {API_VERSION}"
        )
        return
    version, kind = _text(root, "apiVersion"), _text(root, "kind")
    if version is None or kind is None:
        field, wanted = ("apiVersion", API_VERSION) if version is None else ("kind", KIND)
        node = root.values.get(field, root)
        yield Problem(path, node.line, node.column, field, "is required", f"add {field}: {wanted}")
    elif version != API_VERSION and (_group(version) == API_GROUP or kind == KIND):
        node = root.values["apiVersion"]
        yield Problem(
            path, node.line, node.column, "apiVersion", "is not one that is served", f"write {API_VERSION}"
        )
    elif _group(version) == API_GROUP and kind != KIND:
        node = root.values["kind"]
        advice = f"did you mean {KIND}?" if nearest(kind, [KIND]) else f"write {KIND}"
        yield Problem(path, node.line, node.column, "kind", f"is not a kind of {API_GROUP}", advice)


def _is_ours(root: MapNode) -> bool:
    return _text(root, "apiVersion") == API_VERSION


def _text(root: MapNode, key: str) -> str | None:
    node = root.values.get(key)
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def _group(version: str) -> str:
    return version.partition("/")[0]


def _checked(documents: list[Document], problems: list[Problem], source: Path) -> list[Manifest]:
    if not documents and not problems:
        where = "this directory" if source.is_dir() else "this file"
        advice = f"write one with apiVersion: {API_VERSION} and kind: {KIND}"
        problems = [Problem(source, 0, 0, "", f"there is no {KIND} in {where}", advice)]
    problems = [*problems, *conflicts(documents)]
    if problems:
        raise ManifestError(problems)
    return [document.manifest for document in documents]
