"""Reads manifests: a YAML file or a directory in, validated resources of all kinds out.

Every mistake is reported at once, with file, line and column, so that three mistakes need one more run, not three. A
document is read as a whole or not at all, so that a partly read directory cannot look like a deletion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from reconciler.api.conflicts import Document, Manifest, conflicts
from reconciler.api.diagnosis import diagnose, nearest
from reconciler.api.disk_names import as_text
from reconciler.api.errors import ManifestError, Problem
from reconciler.api.kinds import API_GROUP, API_VERSION, KINDS, names_of_kinds
from reconciler.api.manifest_files import find
from reconciler.api.server_set import is_unfinished_list, items_of, namespace_problems, written_by_user
from reconciler.api.text_file import decode, read_bytes, read_text
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import MapNode, Node, ScalarNode

__all__ = ["Manifest", "Survey", "load", "load_directory", "parse", "survey", "survey_text"]


@dataclass(frozen=True)
class Survey:
    """The resources that can be acted on, and every problem of the others.

    `manifests` lacks documents with a mistake, all documents of a file that is not strict YAML, and both sides of a
    conflict. So a name that is missing while there are problems must not be treated as a deletion.

    `foreign` are files of a directory that were skipped, wholly or partly, because they belong to other programs.
    `doubts` are documents whose owner cannot be determined: if a resource came from such a file before, it is
    missing by mistake.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    foreign: tuple[Path, ...] = ()
    doubts: tuple[Problem, ...] = ()

    def all_or_nothing(self) -> list[Manifest]:
        """The manifests if there is no problem. Raises ManifestError with every problem otherwise."""
        if self.problems:
            raise ManifestError(self.problems)
        return list(self.manifests)


def load(path: Path) -> list[Manifest]:
    """The resources of a file, in its order, or of a directory. Raises ManifestError with every problem."""
    return survey(path).all_or_nothing()


def load_directory(path: Path) -> list[Manifest]:
    """The resources of all *.yaml and *.yml files below `path`, sorted by file; hidden ones are skipped.

    Raises ManifestError with every problem found; a directory without any resource is one.
    """
    return _survey_directory(path).all_or_nothing()


def parse(text: str, path: Path) -> list[Manifest]:
    """Like `load`, for a text. `path` is the file name in problems, and `envFrom` is relative to it."""
    return survey_text(text, path).all_or_nothing()


def survey_text(text: str, path: Path) -> Survey:
    """Like `survey`, for a text."""
    try:
        return _combine([_read(text, path)], path)
    except ManifestError as error:
        return _combine([_Reading(problems=[*error.problems])], path)


def survey(path: Path) -> Survey:
    """Like `load`, for callers that continue with the valid resources. Raises nothing."""
    return _survey_directory(path) if path.is_dir() else _survey_file(path)


@dataclass
class _Reading:
    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)


def _survey_directory(directory: Path) -> Survey:
    found = find(directory)
    return _combine([_Reading(problems=[*found.problems]), *map(_read_found, found.files)], directory)


def _survey_file(file: Path) -> Survey:
    try:
        return _combine([_read(read_text(file), file)], file)
    except ManifestError as error:
        return _combine([_Reading(problems=[*error.problems])], file)


def _read_found(file: Path) -> _Reading:
    """Read a file that was found in a directory; it may belong to another program."""
    try:
        content = read_bytes(file)
    except ManifestError as error:
        # A file that cannot be opened may be a manifest.
        return _Reading(problems=[*error.problems])
    try:
        return _read(decode(content, file), file, named=False)
    except ManifestError as error:
        if _is_marked(content):
            return _Reading(problems=[*error.problems])
        return _Reading(foreign=[file], doubts=[*error.problems])


def _read(text: str, path: Path, *, named: bool = True) -> _Reading:
    """The documents of a text. Documents of other programs are skipped; in a file that was `named`, a document without
    apiVersion and kind is a mistake.
    """
    reader = YamlReader(text, path)
    reading = _Reading()
    is_ours, is_strict = named, True
    for root in reader.documents():
        # YAML problems count only for our own documents: those of other programs need not be strict YAML.
        unclear, reader.problems = reader.problems, []
        for item in items_of(root):
            if _is_foreign(item) or not (named or _is_meant_for_us(item)):
                reading.foreign = [path]
                if not _is_foreign(item) or is_unfinished_list(item):
                    where = (path, item.line, item.column)
                    reading.doubts.append(
                        Problem(*where, "", f"is no {names_of_kinds()}", "list the file in .vaultignore")
                    )
                continue
            is_ours, is_strict = True, is_strict and not unclear
            reading.problems += _without_repeats([*unclear], [*_take(item, path, reading.documents)])
            unclear = []
    if reader.problems:
        # The text is not YAML from here on, so the rest of the documents is unknown.
        if is_ours or _is_marked(text.encode()):
            reading.documents.clear()
            return _Reading(problems=_without_repeats(reader.problems, reading.problems))
        return _Reading(foreign=[path], doubts=reader.problems)
    if reading.documents and as_text(str(path)) != str(path):
        # It could not be stored with its resources.
        reading.problems.append(Problem(path, 0, 0, "", "has a path that is not UTF-8", "rename it"))
        is_strict = False
    if not is_strict:
        reading.documents.clear()
    return reading


def _without_repeats(first: list[Problem], others: list[Problem]) -> list[Problem]:
    # A position with a YAML problem gets no second problem.
    taken = {(problem.line, problem.column) for problem in first}
    return [*first, *(problem for problem in others if (problem.line, problem.column) not in taken)]


def _take(root: Node, path: Path, documents: list[Document]) -> Iterator[Problem]:
    """Add a validated document to `documents`, or yield its problems."""
    identity = list(_identity_problems(root, path))
    if identity or not isinstance(root, MapNode):
        yield from identity
        return
    written = written_by_user(root)
    kind = KINDS[str(written["kind"])]
    elsewhere = list(namespace_problems(root, path))
    yield from elsewhere
    try:
        resource = kind.load_model().model_validate(written, by_alias=True, by_name=False)
    except ValidationError as error:
        yield from diagnose(error, root, path, kind)
    else:
        if not elsewhere:
            documents.append(Document(Manifest(resource, path, root.line), root))


def _is_marked(content: bytes) -> bool:
    """Whether a file that cannot be parsed is meant to be a manifest."""
    mark = f"{re.escape(API_GROUP)}/|\\b(?:{'|'.join(map(re.escape, KINDS))})\\b"
    return re.search(mark.encode(), content) is not None


def _is_foreign(root: Node) -> bool:
    """Whether a document declares another API group or format, as Kubernetes objects do."""
    if not isinstance(root, MapNode):
        return False
    version, kind = _text(root, "apiVersion"), _text(root, "kind")
    if version is None or kind is None:
        return False
    return _group(version) != API_GROUP and kind not in KINDS


def _is_meant_for_us(root: Node) -> bool:
    """Whether a document without apiVersion and kind may be an incorrect or unfinished manifest."""
    if not isinstance(root, MapNode):
        return isinstance(root, ScalarNode) and f"apiVersion: {API_VERSION}".startswith(root.text)
    version, kind, spec = _text(root, "apiVersion"), _text(root, "kind"), root.values.get("spec")
    return (
        kind in KINDS
        or (version is None and "apiVersion" in root.values)
        or (version is not None and (_group(version) == API_GROUP or API_VERSION.startswith(version)))
        or (isinstance(spec, MapNode) and "plugin" in spec.values and "metadata" in root.values)
    )


def _combine(readings: Sequence[_Reading], source: Path) -> Survey:
    documents = [document for reading in readings for document in reading.documents]
    problems = [problem for reading in readings for problem in reading.problems]
    if not documents and not problems:
        where = "this directory" if source.is_dir() else "this file"
        advice = f"write one with apiVersion: {API_VERSION} and kind: {names_of_kinds()}"
        problems.append(Problem(source, 0, 0, "", f"there is no {names_of_kinds()} in {where}", advice))
    found = list(conflicts(documents))
    problems += [conflict.problem for conflict in found]
    stuck = {id(party) for conflict in found for party in conflict.parties}
    manifests = tuple(document.manifest for document in documents if id(document) not in stuck)
    foreign = tuple(file for reading in readings for file in reading.foreign)
    doubts = tuple(sorted(doubt for reading in readings for doubt in reading.doubts))
    return Survey(manifests, tuple(sorted(problems)), foreign, doubts)


def _identity_problems(root: Node, path: Path) -> Iterator[Problem]:
    if not isinstance(root, MapNode):
        yield Problem(
            path, root.line, root.column, "", "must be a mapping", f"start with apiVersion: {API_VERSION}"
        )
        return
    version, kind = _text(root, "apiVersion"), _text(root, "kind")
    for name, value, wanted in (("apiVersion", version, API_VERSION), ("kind", kind, names_of_kinds())):
        if value is None:
            node = root.values.get(name, root)
            message = "must be text" if name in root.values else "is required"
            yield Problem(path, node.line, node.column, name, message, f"write {name}: {wanted}")
    if version is None or kind is None:
        return
    if version != API_VERSION and (_group(version) == API_GROUP or kind in KINDS):
        node = root.values["apiVersion"]
        yield Problem(
            path, node.line, node.column, "apiVersion", "is not one that is served", f"write {API_VERSION}"
        )
    elif _group(version) == API_GROUP and kind not in KINDS:
        node = root.values["kind"]
        near = nearest(kind, KINDS)
        advice = f"did you mean {near}?" if near else f"write {names_of_kinds()}"
        yield Problem(path, node.line, node.column, "kind", f"is not a kind of {API_GROUP}", advice)


def _text(root: MapNode, key: str) -> str | None:
    node = root.values.get(key)
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def _group(version: str) -> str:
    return version.partition("/")[0]
