"""Takes the document of one resource out of a file for an editor, and puts the edited one back in its place.

The rest of the file stays as it is, comments included, and the result is read like any manifest: only the resource itself
may have changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api.edit import Edit
from reconciler.api.errors import PermanentError
from reconciler.api.kinds import Ref
from reconciler.api.manifest import parse, survey_text
from reconciler.api.resource import Resource
from reconciler.api.server_set import items_of
from reconciler.api.text_file import decode
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import MapNode, to_plain

__all__ = ["Excerpt", "excerpt"]

_SEPARATOR: Final = re.compile(r"^---[ \t]*(?:#.*)?\r?\n", re.MULTILINE)
"""A line between two documents. One that begins a document itself, such as `--- {a: b}`, is none."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The document with a resource: `before + text + after` is the whole file, without a byte order mark."""

    path: Path
    ref: Ref
    before: str
    text: str
    after: str
    mark: str = ""

    @property
    def whole(self) -> str:
        """The text of the file."""
        return self.mark + self.before + self.text + self.after

    def replaced(self, text: str) -> Edit:
        """The file with another text in place of this one.

        Raises ManifestError with every problem of the result, and PermanentError when it changes anything but the resource.
        """
        if self.after and not text.endswith("\n"):
            text += "\n"
        manifests = parse(self.before + text + self.after, self.path)
        found = next((each for each in manifests if each.resource.ref == self.ref), None)
        if found is None:
            raise PermanentError(
                f"{self.path}: the text no longer holds {self.ref.kind.name} {self.ref.name!r}; "
                "its kind and its name cannot be edited"
            )
        others = {each.resource.ref: each.resource for each in manifests if each is not found}
        if changed := self._changed(others):
            raise PermanentError(
                f"{self.path}: the text also changes {', '.join(changed)}; edit one resource at a time"
            )
        after = self.mark + self.before + text + self.after
        return Edit(self.path, found, {}, self.whole, after)

    def _changed(self, others: Mapping[Ref, Resource]) -> list[str]:
        """The other resources of the file that are no longer as they were."""
        known = survey_text(self.before + self.text + self.after, self.path)
        if known.problems:
            # What a file held that could not be read is not known.
            return []
        before = {
            each.resource.ref: each.resource for each in known.manifests if each.resource.ref != self.ref
        }
        refs = others.keys() | before.keys()
        return sorted(ref.label for ref in refs if others.get(ref) != before.get(ref))


def excerpt(path: Path, ref: Ref) -> Excerpt:
    """The document of `ref` in a file, valid or not; the whole file where it is not apart. Raises PermanentError when it is
    not there.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}") from error
    mark = "\ufeff" if content.startswith(b"\xef\xbb\xbf") else ""
    text = decode(content, path)
    for start, end in _parts(text):
        if _holds(text[start:end], ref):
            return Excerpt(path, ref, text[:start], text[start:end], text[end:], mark)
    if not _holds(text, ref):
        raise PermanentError(f"{path} no longer holds {ref.kind.name} {ref.name!r}; see: git log -- {path}")
    return Excerpt(path, ref, "", text, "", mark)


def _parts(text: str) -> list[tuple[int, int]]:
    """The ranges between separators."""
    separators = [(each.start(), each.end()) for each in _SEPARATOR.finditer(text)]
    starts = [0, *(end for _, end in separators)]
    ends = [*(start for start, _ in separators), len(text)]
    return list(zip(starts, ends, strict=True))


def _holds(text: str, ref: Ref) -> bool:
    roots = [item for root in YamlReader(text, Path()).documents() for item in items_of(root)]
    documents = [to_plain(root) for root in roots if isinstance(root, MapNode)]
    return any(
        each.get("kind") == ref.kind.name
        and isinstance(metadata := each.get("metadata"), dict)
        and metadata.get("name") == ref.name
        for each in documents
    )
