from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.api.schema import child, property_names, resource_schema, without_null
from reconciler.api.vaultservice import VaultService


def nodes(schema: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            if key != "default":
                yield from nodes(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from nodes(value, f"{path}[{index}]")


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name in property_names(schema):
        inner = child(schema, name)
        assert inner is not None
        yield f"{path}.{name}", inner
        yield from fields(inner, f"{path}.{name}")


def test_nothing_is_left_to_look_up_elsewhere() -> None:
    for path, node in nodes(resource_schema()):
        assert "$ref" not in node, path
        assert "$defs" not in node, path


def test_every_field_is_described() -> None:
    described = dict(fields(resource_schema()))
    assert len(described) > 50
    for path, schema in described.items():
        description = schema.get("description", "")
        assert description.endswith("."), path
        assert len(description) > 15, path


def test_every_default_is_a_document_that_the_models_accept() -> None:
    for path, schema in fields(resource_schema()):
        for value in (schema["default"],) if "default" in schema else ():
            assert value is not None, path
    defaults = resource_schema()["properties"]["spec"]["properties"]
    spec = {name: schema["default"] for name, schema in defaults.items() if "default" in schema}
    written = {"metadata": {"name": "a"}, "spec": {"plugin": "whoami", **spec}}
    bare = {"metadata": {"name": "a"}, "spec": {"plugin": "whoami"}}
    assert VaultService.model_validate(written) == VaultService.model_validate(bare)


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("spec.healthcheck.interval", "2s"),
        ("spec.rotation.jitter", "20%"),
        ("spec.strategy.rollingUpdate.maxSurge", 1),
        ("spec.strategy.drainSeconds", 30),
    ],
)
def test_defaults_read_as_users_write_them(path: str, default: object) -> None:
    schema: dict[str, Any] | None = resource_schema()
    for step in path.split("."):
        assert schema is not None
        schema = child(schema, step)
    assert schema is not None
    assert schema["default"] == default


def test_a_document_must_say_what_it_is() -> None:
    assert resource_schema()["required"] == ["apiVersion", "kind", "metadata", "spec"]


@pytest.mark.parametrize(
    ("schema", "body", "nullable"),
    [
        ({"type": "string"}, {"type": "string"}, False),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
            {"type": "string", "description": "d"},
            True,
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            False,
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            True,
        ),
    ],
)
def test_null_is_told_apart_from_the_value(
    schema: dict[str, Any], body: dict[str, Any], nullable: bool
) -> None:
    assert without_null(schema) == (body, nullable)


def test_children_of_lists_and_free_mappings() -> None:
    spec = resource_schema()["properties"]["spec"]
    env_from, env = spec["properties"]["envFrom"], spec["properties"]["env"]
    assert property_names(env_from) == ("file",)
    assert child(env_from, 0) == env_from["items"]
    assert child(env_from, "file") == env_from["items"]["properties"]["file"]
    value = child(env, "ANYTHING")
    assert value is not None
    assert value["type"] == "string"
    assert child(spec, "nothing") is None
