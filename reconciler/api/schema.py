"""The JSON schema of each kind, generated from the models once.

pydantic's own output uses `$ref` and Python defaults; here every definition is inlined and every default is written as
in a manifest ("2s", "20%"). Editors read this schema, `crd.py` makes the Kubernetes form of it, `explain.py` and
`reference.py` turn it into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from reconciler.api.kinds import VAULT_SERVICE, Kind
from reconciler.api.model import ApiModel

__all__ = ["Schema", "child", "property_names", "resource_schema", "without_null"]

Schema = dict[str, Any]

_NULL: Final = {"type": "null"}


@cache
def resource_schema(kind: Kind = VAULT_SERVICE) -> Schema:
    """The whole document of a kind, without `$ref`. Read-only: it is cached."""
    model = kind.load_model()
    raw = model.model_json_schema(by_alias=True, mode="validation")
    definitions = {name: _with_written_defaults(name, body) for name, body in raw.pop("$defs").items()}
    schema: Schema = _inline(_with_written_defaults(model.__name__, raw), definitions)
    # Python code may omit these two; a document may not, because they identify it.
    schema["required"] = ["apiVersion", "kind", *schema["required"]]
    for name in ("apiVersion", "kind"):
        del schema["properties"][name]["default"]
    return schema


def without_null(schema: Schema) -> tuple[Schema, bool]:
    """The schema of the value itself, and whether null (unset) is allowed beside it."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != _NULL]
    if len(choices) == len(schema.get("anyOf", [])):
        return schema, False
    around = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(choices) == 1:
        return {**choices[0], **around}, True
    return {"anyOf": choices, **around}, True


def property_names(schema: Schema) -> tuple[str, ...]:
    """Names of the fields of an object, in the order of the models; for a list, those of its items."""
    body, _ = without_null(schema)
    if "items" in body:
        return property_names(body["items"])
    return tuple(body.get("properties", {}))


def child(schema: Schema, name: str | int) -> Schema | None:
    """The schema of a field, a list item or a value of a free mapping; None if there is none."""
    body, _ = without_null(schema)
    if "items" in body:
        items: Schema = body["items"]
        return items if isinstance(name, int) else child(items, name)
    properties: Mapping[str, Schema] = body.get("properties", {})
    if name in properties:
        return properties[str(name)]
    return next(iter(body.get("patternProperties", {}).values()), None)


def _with_written_defaults(name: str, body: Schema) -> Schema:
    written = _models()[name].model_construct().model_dump(mode="json", by_alias=True, exclude_none=True)
    properties = {}
    for field, schema in body["properties"].items():
        kept = {key: value for key, value in schema.items() if key != "default"}
        properties[field] = {**kept, "default": written[field]} if field in written else kept
    return {**body, "properties": properties}


def _models(base: type[ApiModel] = ApiModel) -> dict[str, type[ApiModel]]:
    """Every model below `base`, by its name."""
    found: dict[str, type[ApiModel]] = {}
    for model in base.__subclasses__():
        found |= {model.__name__: model, **_models(model)}
    return found


def _inline(node: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _inline(
            {**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions
        )
    result: Schema = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: _inline(schema, definitions) for name, schema in value.items()}
        elif key == "default":
            result[key] = value
        elif key != "title" and key != "propertyNames":
            result[key] = _inline(value, definitions)
    if "patternProperties" in result:
        result["additionalProperties"] = False
    return result
