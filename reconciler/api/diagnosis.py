"""Turns pydantic's findings into messages for users: the position, the rule and the likely fix.

A message repeats a value only if its field takes one of a few fixed words: any other value may be a password in the
wrong line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.api.errors import Problem
from reconciler.api.kinds import Kind
from reconciler.api.schema import Schema, child, property_names, resource_schema, without_null
from reconciler.api.yaml_nodes import Node, ScalarNode, field_path, locate

__all__ = ["diagnose", "nearest"]

# Bounds the time: each finding costs a search for the nearest name.
MAX_FINDINGS: Final = 100

Location = tuple[str | int, ...]

# Words that are booleans in YAML 1.1.
_FALSE_WORDS: Final = frozenset({"no", "off", "n", "false", "0"})
_TRUE_WORDS: Final = frozenset({"yes", "on", "y", "true", "1"})
# pydantic's name of a rule, and the message of this project.
_RULES: Final = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "model_type": "must be a mapping (name: value)",
    "mapping_type": "must be a mapping (name: value)",
    "dict_type": "must be a mapping (name: value)",
    "tuple_type": "must be a list",
}


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to `word`, or None. Case, '_' and '-' are ignored."""
    known = {_folded(candidate): candidate for candidate in candidates}
    begun = [candidate for candidate in known if len(word) > 2 and candidate.startswith(_folded(word))]
    close = begun or difflib.get_close_matches(_folded(word), known, n=1, cutoff=0.7)
    return known[close[0]] if close else None


def diagnose(error: ValidationError, root: Node, path: Path, kind: Kind) -> Iterator[Problem]:
    """One Problem for each finding of `error` about the document `root` of this kind, which was read from `path`.

    Findings beyond MAX_FINDINGS are only counted.
    """
    schema = resource_schema(kind)
    details = error.errors(include_url=False, include_input=False)
    if (more := len(details) - MAX_FINDINGS) > 0:
        yield Problem(path, root.line, root.column, "", f"has {more} more problems", "fix the others first")
    for detail in details[:MAX_FINDINGS]:
        context = detail.get("ctx", {})
        about_key = detail["loc"][-1:] == ("[key]",)
        location: Location = detail["loc"][:-1] if about_key else detail["loc"]
        if "field" in context:
            location = (*location, *context["field"].split("."))
        node, key = locate(root, location)
        spot = (
            key
            if key is not None and (about_key or detail["type"] in ("extra_forbidden", "missing"))
            else node
        )
        message, suggestion = _explain(detail, location, node, schema)
        yield Problem(path, spot.line, spot.column, field_path(location), message, suggestion)


def _explain(detail: ErrorDetails, location: Location, node: Node, schema: Schema) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "is not a known field", _suggest_field(location, schema)
    if kind == "literal_error":
        choices = _choices(location, schema)
        meant = nearest(str(node.value), choices) if isinstance(node, ScalarNode) else None
        return f"must be {_listed(choices)}", f"did you mean {meant}?" if meant else ""
    if kind == "needs_quotes":
        return context["reason"], f'write {field_path(location[-1:])}: "..."'
    if kind in ("value_error", "text_format", "cross_field"):
        return detail["msg"].removeprefix("Value error, "), ""
    rule = _RULES.get(kind)
    message = rule.format(**context) if rule else detail["msg"].replace("Input should be", "must be")
    return message, _advice(kind, location, node, schema)


def _advice(kind: str, location: Location, node: Node, schema: Schema) -> str:
    if isinstance(node, ScalarNode) and node.value is None and kind != "missing":
        return "it is empty: give it a value or remove it"
    if kind == "missing":
        return f"add {field_path(location[-1:])}: {_placeholder(location, schema)}"
    if kind in ("int_type", "float_type") and isinstance(node, ScalarNode) and isinstance(node.value, str):
        return "write a plain decimal number, without quotes"
    if kind == "bool_type" and isinstance(node, ScalarNode):
        word = node.text.lower()
        meant = "false" if word in _FALSE_WORDS else "true" if word in _TRUE_WORDS else ""
        return f"write {meant}" if meant else ""
    if kind == "string_type" and isinstance(node, ScalarNode):
        return "put it in quotes"
    if kind == "tuple_type":
        return "start each item with '- '"
    return ""


def _suggest_field(location: Location, schema: Schema) -> str:
    name, siblings = str(location[-1]), property_names(_schema_at(location[:-1], schema))
    if meant := nearest(name, siblings):
        return f"did you mean {meant}?"
    known = f"known here: {', '.join(siblings)}"
    elsewhere = next(_paths_to(name, schema), None)
    return f"there is {elsewhere}; {known}" if elsewhere else known


def _paths_to(name: str, schema: Schema, prefix: str = "") -> Iterator[str]:
    for field in property_names(schema):
        inner = child(schema, field)
        here = f"{prefix}.{field}" if prefix else field
        if _folded(field) == _folded(name):
            yield here
        if inner is not None and here != "status":
            yield from _paths_to(name, inner, here)


def _schema_at(location: Location, schema: Schema) -> Schema:
    for step in location:
        schema = child(schema, step) or {}
    return schema


def _choices(location: Location, schema: Schema) -> Sequence[str]:
    body, _ = without_null(_schema_at(location, schema))
    choices: Any = body.get("enum") or [body["const"]]
    return [str(choice) for choice in choices]


def _placeholder(location: Location, schema: Schema) -> str:
    body = _schema_at(location, schema)
    return "{...}" if body.get("type") == "object" else "..."


def _listed(choices: Sequence[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
