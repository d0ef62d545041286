"""`vaultctl explain VaultService.spec.strategy`: the documentation of one field, in the terminal.

The text comes from the schema of the models, so it cannot differ from what the loader accepts. `reference.py` uses the
same descriptions of types and defaults for the whole page.
"""

from __future__ import annotations

import json
import textwrap
from typing import Final

from reconciler.api.diagnosis import nearest
from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_SERVICE, kind_called
from reconciler.api.quantities import BYTE_SIZE_PATTERN
from reconciler.api.schema import Schema, child, property_names, resource_schema, without_null

__all__ = ["default_text", "explain", "fields_of", "required_fields", "type_text"]

WIDTH: Final = 80


def explain(path: str) -> str:
    """Type, default, description and sub-fields of a field such as "VaultService.spec.ports" or "spec.ports".

    Raises VaultError for a path that does not exist; its message names the closest field.
    """
    steps = [step for step in path.strip(".").split(".") if step]
    kind = (kind_called(steps[0]) if steps else None) or VAULT_SERVICE
    if steps and kind.is_called(steps[0]):
        steps = steps[1:]
    schema, is_required = resource_schema(kind), True
    for depth, step in enumerate(steps):
        found = child(schema, step) if step in property_names(schema) else None
        if found is None:
            raise VaultError(_unknown([kind.name, *steps[:depth]], step, schema))
        schema, is_required = found, step in required_fields(schema)
    return _page(".".join([kind.name, *steps]), schema, is_required)


def type_text(schema: Schema) -> str:
    """The allowed values in words: "integer, 1 to 65535", "one of Delete, Orphan", "duration such as 2s"."""
    body, _ = without_null(schema)
    if "const" in body:
        return str(body["const"])
    if "enum" in body:
        return f"one of {', '.join(map(str, body['enum']))}"
    if "anyOf" in body:
        return _union_text(body["anyOf"])
    if "items" in body:
        item = type_text(body["items"])
        return f"list of {item}" if "enum" in body["items"] else f"list of {item}s"
    if "patternProperties" in body:
        return "mapping of text to text"
    if body["type"] == "string":
        return {"date-time": "time (RFC 3339)"}.get(body.get("format", ""), _text_type(body))
    return f"{body['type']}{_range_text(body)}"


def default_text(schema: Schema) -> str:
    """The default as a user writes it, or an empty string if there is none or only its sub-fields have one."""
    body, _ = without_null(schema)
    if "default" not in body or "properties" in body or body["default"] in ({}, []):
        return ""
    return json.dumps(body["default"])


def fields_of(schema: Schema) -> dict[str, Schema]:
    """The sub-fields of an object or of the items of a list, by name."""
    found = {name: child(schema, name) for name in property_names(schema)}
    return {name: field for name, field in found.items() if field is not None}


def required_fields(schema: Schema) -> frozenset[str]:
    """The required sub-fields."""
    body, _ = without_null(schema)
    return frozenset(body.get("items", body).get("required", ()))


def _union_text(choices: list[Schema]) -> str:
    types = {choice["type"] for choice in choices}
    if "integer" in types:
        is_size = any(choice.get("pattern") == BYTE_SIZE_PATTERN for choice in choices)
        return "size such as 512Mi, or a number of bytes" if is_size else "integer or percentage such as 25%"
    return "duration such as 500ms, 2s or 1m30s, or a number of seconds"


def _text_type(body: Schema) -> str:
    return "percentage such as 20%" if body.get("pattern", "").endswith("%$") else "string"


def _range_text(body: Schema) -> str:
    if "exclusiveMinimum" in body:
        return f", more than {body['exclusiveMinimum']}, at most {body['maximum']}"
    if "maximum" in body:
        return f", {body['minimum']} to {body['maximum']}"
    return f", {body['minimum']} or more" if "minimum" in body else ""


def _page(path: str, schema: Schema, is_required: bool) -> str:
    body, _ = without_null(schema)
    default = default_text(schema)
    lines = [f"FIELD:    {path}", f"TYPE:     {type_text(schema)}"]
    lines.append(f"DEFAULT:  {default}" if default else f"REQUIRED: {'yes' if is_required else 'no'}")
    lines += ["", *_wrapped(body["description"])]
    if fields := fields_of(schema):
        required = required_fields(schema)
        lines += ["", "FIELDS:"]
        for name, field in fields.items():
            mark = " (required)" if name in required else ""
            lines.append(f"  {name} <{type_text(field)}>{mark}")
            description = without_null(field)[0]["description"]
            lines += _wrapped(description, indent="      ")
    return "\n".join(lines)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _unknown(parents: list[str], step: str, schema: Schema) -> str:
    here = ".".join(parents)
    names = property_names(schema)
    if meant := nearest(step, names):
        return f"{here} has no field {step!r}; did you mean {here}.{meant}?"
    if names:
        return f"{here} has no field {step!r}; it has: {', '.join(names)}"
    return f"{here} has no fields; ask for {here} itself"
