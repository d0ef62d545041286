"""The base class of all models of a document.

They share one configuration: strict types (a "3" is not a 3), unknown fields refused, immutable instances, camelCase in
documents and snake_case in Python. Error texts never repeat an input, because an input may be a password.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

__all__ = ["AS_STORED", "ApiModel"]

AS_STORED: Final = {"stored": True}
"""Validation context for stored objects: rules that were added later do not reject what was accepted before."""


class ApiModel(BaseModel):
    """A part of the resource; `to_document` is its form for users."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        # A command uses few of the models by themselves, and those that are parts of another are built with it. So a
        # default that is a model comes from `model_construct`, which does not build it.
        defer_build=True,
    )

    def to_document(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars by document names, without unset (None) fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
