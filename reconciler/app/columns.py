"""The cells of a kind's columns, from its document: the part of Kubernetes' JSONPath that `Column.path` uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["cell"]

_STEP: Final = re.compile(r"\.(?P<field>\w+)|\[\?\(@\.(?P<key>\w+)==\"(?P<value>[^\"]*)\"\)\]")
"""`.field`, or the item of a list whose field has a value: `[?(@.type=="Ready")]`."""


def cell(document: Mapping[str, Any], path: str) -> str:
    """The value at a path such as `.status.conditions[?(@.type=="Ready")].status`; empty when there is none."""
    value: Any = document
    for step in _STEP.finditer(path):
        if field := step["field"]:
            value = value.get(field) if isinstance(value, Mapping) else None
        else:
            items = value if isinstance(value, list) else []
            value = next((item for item in items if item.get(step["key"]) == step["value"]), None)
    return "" if value is None else str(value)
