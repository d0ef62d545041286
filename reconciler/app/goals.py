"""What can be waited for: a condition, the value of a field, a creation or a deletion, as `kubectl wait --for` says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.query.errors import QueryError
from reconciler.api.query.jsonpath import Path, find, printed, relaxed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Goal", "parse_goal"]

CONDITION: Final = "condition="
JSONPATH: Final = "jsonpath="
KINDS: Final = "condition=TYPE[=STATUS], jsonpath='{PATH}'[=VALUE], create or delete"


@dataclass(frozen=True, slots=True)
class Goal:
    """A state of an object. `condition` is its type, `path` of a field; `value` None is any value.

    Neither is set for an existence: `exists` says which.
    """

    text: str
    exists: bool = True
    condition: str = ""
    path: Path | None = None
    value: str | None = None

    def is_met(self, document: Mapping[str, Any] | None) -> bool:
        """Whether the document of an object, None for one that is gone, meets it. Raises QueryError."""
        if document is None or not self.exists:
            return (document is None) is not self.exists
        if self.condition:
            return self._has_condition(document)
        if self.path is None:
            return True
        found = find(self.path, document)
        if self.value is None:
            return bool(found) and found[0] is not None
        if len(found) > 1:
            raise QueryError(f"{self.text} finds {len(found)} values; write a path that finds one")
        return bool(found) and printed(found[0]) == self.value

    def _has_condition(self, document: Mapping[str, Any]) -> bool:
        generation = document["metadata"].get("generation", 0)
        wanted = (self.value or "").lower()
        return any(
            each["type"].lower() == self.condition.lower()
            and each["status"].lower() == wanted
            # A condition of an older generation says nothing about the newest spec.
            and each.get("observedGeneration", 0) >= generation
            for each in (document.get("status") or {}).get("conditions", ())
        )


def parse_goal(text: str) -> Goal:
    """Raises QueryError that says what there is."""
    if text in ("create", "delete"):
        return Goal(text, exists=text == "create")
    if text.startswith(CONDITION):
        condition, _, status = text.removeprefix(CONDITION).partition("=")
        if not condition:
            raise QueryError(f"{text!r} names no condition; write, for example, condition=Ready")
        return Goal(text, condition=condition, value=status or "True")
    if text.startswith(JSONPATH):
        return _field(text)
    raise QueryError(f"{text!r} is nothing to wait for; there are: {KINDS}")


def _field(text: str) -> Goal:
    expression, depth, end = text.removeprefix(JSONPATH), 0, None
    for place, character in enumerate(expression):
        depth += (character in "[({") - (character in "])}")
        if character == "=" and not depth:
            end = place
            break
    path = expression[:end].strip("'\"")
    value = None if end is None else expression[end + 1 :]
    if value is not None and len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    if value == "":
        raise QueryError(f"{text!r} has no value after its =; leave the = out to wait for any value")
    return Goal(text, path=relaxed(path), value=value)
