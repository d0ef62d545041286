"""Which lists of a kind are sets, as its CRD says: clients own the items of a set one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from reconciler.api.crd import structural
from reconciler.api.kinds import Kind
from reconciler.api.schema import resource_schema

__all__ = ["sets_of"]


@cache
def sets_of(kind: Kind) -> Callable[[tuple[str, ...]], bool]:
    """Whether the list at a path of steps such as `f:spec` is a set."""
    schema = structural(resource_schema(kind))

    # Not cached: clients choose the paths.
    def is_set(path: tuple[str, ...]) -> bool:
        found: Any = schema
        for step in path:
            found = found.get("properties", {}).get(step[2:]) if step.startswith("f:") else None
            if found is None:
                return False
        return bool(found.get("x-kubernetes-list-type") == "set")

    return is_set
