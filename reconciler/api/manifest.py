"""Reads manifests: a file or a directory of YAML in, checked VaultServices out.

Everything that is wrong is reported at once, with file, line and column: a user who has made three mistakes
should need one more run, not three. A document is taken whole or not at all, so that a half-read directory
can never look like a deletion.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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

__all__ = ["Manifest", "Survey", "load", "load_directory", "parse", "survey"]

SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Survey:
    """What was found: the services that can be acted on, and everything that is wrong with the others.

    A document with a mistake, every document of a file that is no strict YAML, and both sides of a conflict
    are missing from `manifests`. So a name that is missing while there are problems says nothing: it must not
    be taken for a deletion.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]

    def all_or_nothing(self) -> list[Manifest]:
        """The manifests, if nothing is wrong anywhere. Raises ManifestError with every problem otherwise."""
        if self.problems:
            raise ManifestError(self.problems)
        return list(self.manifests)


def load(path: Path) -> list[Manifest]:
    """The VaultServices of a file, in its order, or of a directory. Raises ManifestError with every problem."""
    return survey(path).all_or_nothing()


def load_directory(path: Path) -> list[Manifest]:
    """The VaultServices of all *.yaml and *.yml files below `path`, sorted by file; hidden ones are skipped.

    Raises ManifestError with every problem found; a directory without any VaultService is one.
    """
    return _survey(_files(path), path).all_or_nothing()


def parse(text: str, path: Path) -> list[Manifest]:
    """Like `load`, for a text that was read already. `path` names it in problems; `envFrom` is relative to
    it.
    """
    return _combine([_read(text, path)], path).all_or_nothing()


def survey(path: Path) -> Survey:
    """Like `load`, for those who go on with the services that are right. Raises nothing."""
    return _survey(_files(path) if path.is_dir() else [path], path)


@dataclass
class _Reading:
    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def _survey(files: Iterable[Path | Problem], source: Path) -> Survey:
    readings = []
    for file in files:
        if isinstance(file, Problem):
            readings.append(_Reading(problems=[file]))
            continue
        try:
            readings.append(_read(read_text(file), file))
        except ManifestError as error:
            readings.append(_Reading(problems=[*error.problems]))
    return _combine(readings, source)


def _files(directory: Path) -> list[Path | Problem]:
    unreadable: list[Path | Problem] = []

    def note(error: OSError) -> None:
        # A directory that cannot be listed must not look like an empty one.
        place, reason = Path(error.filename or directory), os.strerror(error.errno or 0)
        advice = "check the path and its permissions"
        unreadable.append(Problem(place, 0, 0, "", f"cannot be listed: {reason}", advice))

    found: list[Path] = []
    for parent, subdirectories, names in os.walk(directory, onerror=note):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return unreadable + [file for file in sorted(found) if file.suffix in SUFFIXES]


def _read(text: str, path: Path) -> _Reading:
    reader = YamlReader(text, path)
    reading = _Reading()
    for root in reader.documents():
        identity = list(_identity_problems(root, path))
        if identity or not isinstance(root, MapNode):
            reading.problems += identity
        elif _text(root, "apiVersion") == API_VERSION:
            # Like an API server: what a user sends as status is dropped, so that `get -o yaml` can be applied
            # again.
            written = {key: value for key, value in to_plain(root).items() if key != "status"}
            try:
                service = VaultService.model_validate(written, by_alias=True, by_name=False)
                reading.documents.append(Document(Manifest(service, path, root.line), root))
            except ValidationError as error:
                reading.problems += diagnose(error, root, path)
    if reader.problems:
        # What YAML could not say is not worth a second complaint about the same place.
        taken = {(problem.line, problem.column) for problem in reader.problems}
        others = [problem for problem in reading.problems if (problem.line, problem.column) not in taken]
        return _Reading(problems=[*reader.problems, *others])
    return reading


def _combine(readings: Sequence[_Reading], source: Path) -> Survey:
    documents = [document for reading in readings for document in reading.documents]
    problems = [problem for reading in readings for problem in reading.problems]
    if not documents and not problems:
        where = "this directory" if source.is_dir() else "this file"
        advice = f"write one with apiVersion: {API_VERSION} and kind: {KIND}"
        problems.append(Problem(source, 0, 0, "", f"there is no {KIND} in {where}", advice))
    found = list(conflicts(documents))
    problems += [conflict.problem for conflict in found]
    stuck = {id(party) for conflict in found for party in conflict.parties}
    manifests = tuple(document.manifest for document in documents if id(document) not in stuck)
    return Survey(manifests, tuple(sorted(problems)))


def _identity_problems(root: Node, path: Path) -> Iterator[Problem]:
    if not isinstance(root, MapNode):
        yield Problem(
            path, root.line, root.column, "", "must be a mapping", f"start with apiVersion: {API_VERSION}"
        )
        return
    version, kind = _text(root, "apiVersion"), _text(root, "kind")
    for name, value, wanted in (("apiVersion", version, API_VERSION), ("kind", kind, KIND)):
        if value is None:
            node = root.values.get(name, root)
            message = "must be text" if name in root.values else "is required"
            yield Problem(path, node.line, node.column, name, message, f"write {name}: {wanted}")
    if version is None or kind is None:
        return
    if version != API_VERSION and (_group(version) == API_GROUP or kind == KIND):
        node = root.values["apiVersion"]
        yield Problem(
            path, node.line, node.column, "apiVersion", "is not one that is served", f"write {API_VERSION}"
        )
    elif _group(version) == API_GROUP and kind != KIND:
        node = root.values["kind"]
        advice = f"did you mean {KIND}?" if nearest(kind, [KIND]) else f"write {KIND}"
        yield Problem(path, node.line, node.column, "kind", f"is not a kind of {API_GROUP}", advice)


def _text(root: MapNode, key: str) -> str | None:
    node = root.values.get(key)
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def _group(version: str) -> str:
    return version.partition("/")[0]
