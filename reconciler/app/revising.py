"""Has a text edited until it can be used: a text that is not valid comes back with what is wrong as a comment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import VaultError
from reconciler.api.manifest import survey_text
from reconciler.api.rewrite import Excerpt, excerpt
from reconciler.app.revisions import differences

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.api.edit import Edit
    from reconciler.api.kinds import Ref

__all__ = ["UnusableError", "changed_fields", "revise"]

NOTE: Final = "#: "
"""How the lines at the top begin that are not part of the text."""

Ask = Callable[[str], str]
"""Shows a text and returns what became of it."""


class UnusableError(VaultError):
    """An edited text that is not used."""


def revise(path: Path, ref: Ref, ask: Ask) -> Edit | None:
    """Ask for another text of the document of `ref` until it is valid; None when it is empty or as it was.

    Raises UnusableError when an invalid text comes back as it was, and when the file was changed meanwhile.
    """
    part = excerpt(path, ref)
    text, problem = part.text, ""
    while True:
        answer = _without_notes(ask(_with_notes(part, text, problem)))
        if not answer.strip() or answer == part.text:
            return None
        if problem and answer == text:
            raise UnusableError(f"the edited text is not valid, so nothing was changed: {problem}")
        try:
            edit = part.replaced(answer)
        except VaultError as error:
            text, problem = answer, str(error)
            continue
        if excerpt(path, ref).whole != part.whole:
            raise UnusableError(f"{path} was changed meanwhile, so your changes were not written")
        return edit


def changed_fields(edit: Edit) -> list[str]:
    """The dotted names of the fields that differ, for the subject of a commit: without values."""
    after = edit.manifest.resource
    known = survey_text(edit.before.removeprefix("\ufeff"), edit.path).manifests
    before = next((each.resource for each in known if each.resource.ref == after.ref), None)
    if before is None:
        return ["mistakes"]
    fields = list(differences(before.spec.to_document(), after.spec.to_document()))
    for name in ("labels", "annotations"):
        if getattr(before.metadata, name) != getattr(after.metadata, name):
            fields.append(name)
    return fields


def _with_notes(part: Excerpt, text: str, problem: str) -> str:
    lines = [
        f"Edit {part.ref.kind.name} {part.ref.name} below. These lines at the top are left out.",
        "Save an empty text, or leave it as it is, to change nothing.",
    ]
    if problem:
        lines += ["", *problem.splitlines()]
    return "".join(f"{NOTE}{line}".rstrip() + "\n" for line in lines) + text


def _without_notes(text: str) -> str:
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith(NOTE.rstrip()):
        del lines[0]
    return "".join(lines)
